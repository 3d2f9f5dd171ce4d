import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Batcher, type BatcherOptions } from "../../src/bus/batcher.ts";
import { CallError } from "../../src/errors.ts";
import { sleep } from "../../src/time.ts";
import { notice } from "./support.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A batcher, and the data of the events of each batch that it handed over. */
function setUp(over: Partial<BatcherOptions> = {}) {
  const batches: unknown[][] = [];
  const problems: string[] = [];
  let answer: () => Promise<void> = () => Promise.resolve();
  const batcher = new Batcher({
    name: "the sink",
    batchSize: 3,
    flushMs: 1000,
    maxBuffered: 5,
    write: (batch) => {
      batches.push(batch.map(({ event }) => event.data));
      return answer();
    },
    onProblem: (problem) => problems.push(problem),
    ...over,
  });
  const add = (...data: unknown[]): void => {
    for (const one of data) batcher.add(notice({ data: one }));
  };
  const answers = (next: () => Promise<void>): void => void (answer = next);
  return { batcher, batches, problems, add, answers };
}

const ok = (): Promise<void> => Promise.resolve();
const down = (): Promise<void> => Promise.reject(new Error("down"));

describe("events are handed over", () => {
  it("when there are enough", async () => {
    const { batches, add } = setUp();
    add(1, 2);
    await vi.advanceTimersByTimeAsync(0);
    expect(batches).toEqual([]);
    add(3, 4);
    await vi.advanceTimersByTimeAsync(0);
    expect(batches).toEqual([[1, 2, 3]]);
  });

  it("when they have waited long enough", async () => {
    const { batches, add } = setUp();
    add(1);
    await vi.advanceTimersByTimeAsync(999);
    expect(batches).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(batches).toEqual([[1]]);
  });

  it("on demand, with what came while others were handed over", async () => {
    const { batcher, batches, add, answers } = setUp();
    answers(() => sleep(100));
    add(1, 2, 3, 4);
    const flushed = batcher.flush();
    add(5);
    await vi.advanceTimersByTimeAsync(300);
    await flushed;
    expect(batches).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    expect(batcher.status()).toEqual({ buffered: 0, delivered: 5, dropped: 0, failures: 0 });
  });

  it("again with growing pauses where that failed, in order, and told once", async () => {
    const { batcher, batches, problems, add, answers } = setUp();
    answers(down);
    add(1, 2, 3, 4);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(batches.length).toBeGreaterThanOrEqual(3);
    expect(batches.length).toBeLessThanOrEqual(5);
    expect(batches.every((batch) => batch[0] === 1)).toBe(true);
    expect(problems).toEqual([expect.stringContaining("down")]);
    expect(batcher.status()).toMatchObject({ buffered: 4, delivered: 0, problem: "down" });
    answers(ok);
    await batcher.flush();
    expect(batches.slice(-2)).toEqual([[1, 2, 3], [4]]);
    expect(batcher.status()).not.toHaveProperty("problem");
    answers(down);
    add(5);
    await batcher.flush();
    expect(problems).toHaveLength(2);
  });

  it("not for ever where they are clearly refused", async () => {
    const { batcher, batches, problems, add, answers } = setUp();
    answers(() =>
      Promise.reject(new CallError("upstream_error", "bad events", { outcome: "answered" })),
    );
    add(1);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(batches).toHaveLength(5);
    expect(batcher.status()).toMatchObject({ buffered: 0, dropped: 1, failures: 5 });
    expect(problems.at(-1)).toContain("are dropped, since they were refused");
  });
});

describe("where too many wait", () => {
  it("new ones are dropped, counted, told once, and what was there before stays", async () => {
    const { batcher, batches, problems, add, answers } = setUp();
    answers(down);
    add(1, 2, 3, 4, 5);
    for (const data of [6, 7]) expect(() => add(data)).toThrow("no room");
    expect(batcher.status()).toMatchObject({ buffered: 5, dropped: 2 });
    expect(problems.filter((problem) => problem.includes("dropped"))).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(0);
    answers(ok);
    await batcher.flush();
    expect(batches.slice(-2)).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  it("their bytes count as well", () => {
    const { batcher } = setUp({ maxBuffered: 1000, batchSize: 1000 });
    for (let n = 0; n < 64; n++) batcher.add(notice({ data: n }, 1024 * 1024));
    expect(() => batcher.add(notice({ data: 65 }))).toThrow("no room");
  });
});

it("what cannot be handed over at the end is counted and told", async () => {
  const { batcher, problems, add, answers } = setUp();
  answers(down);
  add(1, 2);
  await batcher.flush();
  batcher.close();
  expect(batcher.status()).toMatchObject({ buffered: 0, dropped: 2 });
  expect(problems.at(-1)).toContain("2 events could not be handed over and are lost");
  expect(() => add(3)).toThrow("no room");
});
