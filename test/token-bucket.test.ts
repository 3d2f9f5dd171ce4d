import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TokenBucket } from "../src/token-bucket.ts";

const taken = (bucket: TokenBucket, tries: number, at: number): number =>
  Array.from({ length: tries }, () => bucket.take(at)).filter(Boolean).length;

describe("TokenBucket", () => {
  it("gives its burst at once, then one token at a time", () => {
    const bucket = new TokenBucket(10, 5, 0);
    expect(taken(bucket, 9, 0)).toBe(5);
    expect(bucket.wait(1, 0)).toBeCloseTo(100);
    expect(bucket.wait(3, 0)).toBeCloseTo(300);
    expect(taken(bucket, 9, 99)).toBe(0);
    expect(taken(bucket, 9, 100)).toBe(1);
    expect(taken(bucket, 9, 10_000)).toBe(5);
  });

  it("gives nothing while it is held, and is empty then", () => {
    const bucket = new TokenBucket(10, 5, 0);
    bucket.hold(1000, 0);
    expect(taken(bucket, 1, 999)).toBe(0);
    expect(bucket.wait(1, 0)).toBeCloseTo(1100);
    expect(taken(bucket, 9, 1000)).toBe(0);
    expect(taken(bucket, 9, 1100)).toBe(1);
  });

  it("is held the longest of what was asked", () => {
    const bucket = new TokenBucket(0, 1, 0);
    bucket.hold(1000, 0);
    bucket.hold(10, 0);
    expect(bucket.take(999)).toBe(false);
    expect(bucket.take(1000)).toBe(true);
  });

  it("without a rate gives tokens without end", () => {
    expect(taken(new TokenBucket(0, 1, 0), 1000, 0)).toBe(1000);
  });

  it("never gives more than its burst and its rate in any span, and no less where one waits as told", () => {
    const visits = fc.array(fc.double({ min: 0, max: 500, noNaN: true }), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(
        fc.double({ min: 0.5, max: 1000, noNaN: true }),
        fc.integer({ min: 1, max: 50 }),
        visits,
        (perSecond, burst, gaps) => {
          const bucket = new TokenBucket(perSecond, burst, 0);
          const times: number[] = [];
          let at = 0;
          for (const gap of gaps) {
            at += gap;
            while (bucket.take(at)) times.push(at);
            const then = at + bucket.wait(1, at) + 1e-6;
            expect(new TokenBucket(perSecond, burst, 0).take(0)).toBe(true);
            at = then;
            expect(bucket.take(at)).toBe(true);
            times.push(at);
          }
          for (let from = 0; from < times.length; from += 7) {
            const span = (times.at(-1) ?? 0) - (times[from] ?? 0);
            expect(times.length - from).toBeLessThanOrEqual(
              burst + (span * perSecond) / 1000 + 1e-3 + 1,
            );
          }
        },
      ),
    );
  });
});
