import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { biasedTtl, nextBias, nextTtl } from "../src/adaptive-ttl.ts";

const bounds = { minTtlMs: 100, maxTtlMs: 10_000 };

describe("nextTtl", () => {
  it("doubles the time of an answer that was given more than 100 times", () => {
    expect(nextTtl(1000, 101, bounds)).toBe(2000);
    expect(nextTtl(1000, 100, bounds)).toBe(1000);
  });

  it("halves the time of an answer that was given less than 10 times", () => {
    expect(nextTtl(1000, 9, bounds)).toBe(500);
    expect(nextTtl(1000, 10, bounds)).toBe(1000);
  });

  it("stays within its bounds, in whole milliseconds", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), fc.nat(1000), (ttlMs, hits) => {
        const next = nextTtl(ttlMs, hits, bounds);
        expect(next).toBeGreaterThanOrEqual(bounds.minTtlMs);
        expect(next).toBeLessThanOrEqual(bounds.maxTtlMs);
        expect(Number.isInteger(next)).toBe(true);
      }),
    );
  });
});

describe("nextBias", () => {
  it("grows by a tenth under the target, shrinks over it, and stays on it", () => {
    expect(nextBias(1, 0.7, 0.8)).toBeCloseTo(1.1);
    expect(nextBias(1, 0.9, 0.8)).toBeCloseTo(1 / 1.1);
    expect(nextBias(1, 0.8, 0.8)).toBe(1);
  });

  it("stays between a quarter and four", () => {
    let [up, down] = [1, 1];
    for (let n = 0; n < 50; n++) [up, down] = [nextBias(up, 0, 0.8), nextBias(down, 1, 0.8)];
    expect([up, down]).toEqual([4, 0.25]);
  });
});

describe("biasedTtl", () => {
  it("is the time times the bias, within the bounds, in whole milliseconds", () => {
    expect(biasedTtl(1001, 0.25, bounds)).toBe(250);
    expect(biasedTtl(1000, 1.1, bounds)).toBe(1100);
    expect(biasedTtl(9000, 4, bounds)).toBe(10_000);
    expect(biasedTtl(200, 0.25, bounds)).toBe(100);
  });
});
