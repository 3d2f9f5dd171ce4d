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

  it("keeps the order of those who stay, whoever leaves and comes, and whenever", async () => {
    const { ask, end, started, status } = setUp(1, 10);
    const signals = Array.from({ length: 9 }, () => new Cancel());
    const come = (n: number) => void ask(n, { signal: signals[n]! });
    const cancel = (n: number) => signals[n]?.cancel(cancelled("enough"));
    for (const n of [1, 2, 3, 4]) come(n);
    cancel(2);
    cancel(3);
    for (const n of [5, 6, 7]) come(n);
    cancel(6);
    await end();
    come(8);
    expect(started).toEqual([1, 4]);
    cancel(5);
    for (let n = 0; n < 3; n++) await end();
    expect(started).toEqual([1, 4, 7, 8]);
    expect(status()).toEqual({ active: 0, waiting: 0 });
  });

  it("serves who comes after all who waited have left", async () => {
    const { ask, end, started } = setUp(1, 10);
    void ask(1);
    for (let round = 0; round < 3; round++) {
      const signal = new Cancel();
      const gone = [ask(2, { signal }), ask(3, { signal })];
      signal.cancel(cancelled("enough"));
      await Promise.all(gone);
    }
    void ask(4);
    void ask(5);
    await end();
    await end();
    expect(started).toEqual([1, 4, 5]);
  });

  it("keeps the order when most of a long queue leave, and serves those who stay", async () => {
    const { ask, end, started, status } = setUp(1, 10_000);
    const gone = new Cancel();
    void ask(0);
    for (let n = 1; n <= 5000; n++) void ask(n, n % 1000 === 0 ? {} : { signal: gone });
    gone.cancel(cancelled("enough"));
    expect(status().waiting).toBe(5);
    void ask(5001);
    for (let n = 0; n < 6; n++) await end();
    expect(started).toEqual([0, 1000, 2000, 3000, 4000, 5000, 5001]);
    await end();
    expect(status()).toEqual({ active: 0, waiting: 0 });
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
