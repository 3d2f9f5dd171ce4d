import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoff } from "../src/backoff.ts";

const usual = { initialDelayMs: 100, factor: 2, maxDelayMs: 30_000 };

describe("backoff", () => {
  it("grows by the factor up to the maximum", () => {
    const delays = [1, 2, 3, 9, 10, 50].map((n) => backoff(n, { ...usual, jitter: "none" }));
    expect(delays).toEqual([100, 200, 400, 25_600, 30_000, 30_000]);
  });

  it("keeps its bounds for any options and chance", () => {
    const options = fc.record({
      initialDelayMs: fc.integer({ min: 0, max: 100_000 }),
      factor: fc.double({ min: 1, max: 10, noNaN: true }),
      maxDelayMs: fc.integer({ min: 0, max: 100_000 }),
    });
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(options, fc.integer({ min: 1, max: 1000 }), chance, (given, n, random) => {
        const of = (jitter: "full" | "quarter" | "none") =>
          backoff(n, { ...given, jitter }, () => random);
        const whole = of("none");
        expect(whole).toBeGreaterThanOrEqual(0);
        expect(whole).toBeLessThanOrEqual(given.maxDelayMs);
        expect(of("full")).toBeGreaterThanOrEqual(0);
        expect(of("full")).toBeLessThanOrEqual(whole);
        expect(of("quarter")).toBeGreaterThanOrEqual(whole * 0.75);
        expect(of("quarter")).toBeLessThanOrEqual(Math.min(whole * 1.25, given.maxDelayMs));
      }),
    );
  });
});
