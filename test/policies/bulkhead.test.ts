import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Call, Result } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { cancelled } from "../../src/errors.ts";
import { bulkhead } from "../../src/policies/bulkhead.ts";
import { now } from "../../src/time.ts";
import { call, ok, outcomeOf, recorder } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function setUp(maxConcurrent: number, maxQueue: number) {
  const options = { maxConcurrent, maxQueue };
  const { report, events } = recorder();
  const { middleware, status } = bulkhead({ upstream: "up", optionsOf: () => options, report });
  const started: unknown[] = [];
  const ends: (() => void)[] = [];
  const handle = middleware((received) => {
    started.push(received.params["n"]);
    return new Promise<Result>((resolve) => ends.push(() => resolve(ok())));
  });
  const ask = (n: number, over: Partial<Call> = {}) =>
    outcomeOf(handle(call({ params: { n }, ...over })));
  /** Lets one call under way end, the oldest first. */
  const end = async () => {
    ends.shift()?.();
    await vi.advanceTimersByTimeAsync(0);
  };
  return { ask, end, started, status, events };
}

describe("bulkhead", () => {
  it("lets so many calls through at once, and the others in order when a place is free", async () => {
    const { ask, end, started, status, events } = setUp(2, 10);
    const answers = [1, 2, 3, 4].map((n) => ask(n));
    await vi.advanceTimersByTimeAsync(0);
    expect(started).toEqual([1, 2]);
    expect(status()).toEqual({ active: 2, waiting: 2 });
    await end();
    expect(started).toEqual([1, 2, 3]);
    for (let n = 0; n < 3; n++) await end();
    expect(await Promise.all(answers)).toEqual([ok(), ok(), ok(), ok()]);
    expect(status()).toEqual({ active: 0, waiting: 0 });
    expect(events.map(({ type }) => type)).toEqual(["call.waited", "call.waited"]);
  });

  it("refuses what finds the queue full", async () => {
    const { ask } = setUp(1, 1);
    void ask(1);
    void ask(2);
    expect(await ask(3)).toMatchObject({ code: "overloaded", outcome: "failed", local: true });
  });

  it("lets a cancelled waiter go at once, with its place in the queue", async () => {
    const { ask, end, started, status } = setUp(1, 1);
    const signal = new Cancel();
    void ask(1);
    const gone = ask(2, { signal });
    signal.cancel(cancelled("enough"));
    expect(await gone).toMatchObject({ code: "cancelled" });
    expect(status()).toEqual({ active: 1, waiting: 0 });
    void ask(3);
    expect(status().waiting).toBe(1);
    await end();
    expect(started).toEqual([1, 3]);
  });

  it("lets a waiter go when the call's time is over", async () => {
    const { ask } = setUp(1, 1);
    void ask(1);
    const late = ask(2, { deadline: { at: now() + 500, max: Infinity } });
    await vi.advanceTimersByTimeAsync(500);
    expect(await late).toMatchObject({ code: "overloaded", outcome: "failed" });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("gives a place free whatever becomes of its call", async () => {
    const options = { maxConcurrent: 1, maxQueue: 1 };
    const { middleware } = bulkhead({ upstream: "up", optionsOf: () => options, report: () => {} });
    const handle = middleware(() => Promise.reject(new Error("no")));
    const all = [1, 2].map(() => outcomeOf(handle(call())));
    await vi.advanceTimersByTimeAsync(0);
    expect(await Promise.all(all)).toMatchObject([{ message: "no" }, { message: "no" }]);
    expect(await outcomeOf(handle(call()))).toMatchObject({ message: "no" });
  });
});
