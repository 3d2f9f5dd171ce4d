import { describe, expect, it } from "vitest";
import { SentLog } from "../../src/front/http-log.ts";

const numbers = (log: SentLog, stream: number, after = 0): number[] =>
  log.after(stream, after).map(({ number }) => number);

describe("what was sent", () => {
  it("can be had again by stream, after a number", () => {
    const log = new SentLog(1000);
    for (const stream of [1, 2, 1, 1]) log.add(stream, "x");
    expect(numbers(log, 1)).toEqual([1, 3, 4]);
    expect(numbers(log, 1, 3)).toEqual([4]);
    expect(numbers(log, 3)).toEqual([]);
    expect(log.last).toBe(4);
  });

  it("is kept up to a size, the newest of it", () => {
    const log = new SentLog(10);
    for (let n = 0; n < 5; n++) log.add(1, "four");
    expect(numbers(log, 1)).toEqual([4, 5]);
  });

  it("is kept up to a count", () => {
    const log = new SentLog(1_000_000);
    for (let n = 0; n < 10_005; n++) log.add(1, "");
    expect(numbers(log, 1)).toHaveLength(10_000);
  });

  it("is kept where it is the newest, whatever its size, until the next comes", () => {
    const log = new SentLog(10);
    log.add(1, "a");
    log.add(1, "x".repeat(100));
    expect(numbers(log, 1)).toEqual([2]);
    log.add(1, "b");
    expect(numbers(log, 1)).toEqual([3]);
  });

  it("is kept no longer than until it was taken, where it is too large", () => {
    const log = new SentLog(10);
    log.add(1, "a");
    log.taken(1);
    expect(numbers(log, 1)).toEqual([1]);
    log.add(1, "x".repeat(11));
    log.taken(1);
    expect(numbers(log, 1)).toEqual([2]);
    log.taken(2);
    expect(numbers(log, 1)).toEqual([]);
    for (let n = 0; n < 3; n++) log.add(1, "four");
    expect(numbers(log, 1)).toEqual([4, 5]);
  });
});
