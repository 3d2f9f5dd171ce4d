import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Call } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import { rateLimit } from "../../src/policies/rate-limit.ts";
import { rateLimitOptions, type RateLimitOptions } from "../../src/policies/rate-limit-options.ts";
import { now } from "../../src/time.ts";
import { call, ok, outcomeOf, recorder, tool } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function setUp(
  over: Partial<RateLimitOptions>,
  ofTools: Record<string, Partial<RateLimitOptions>> = {},
) {
  const options = rateLimitOptions.parse(over);
  const own = new Map(
    Object.entries(ofTools).map(([name, given]) => [name, rateLimitOptions.parse(given)]),
  );
  const { report, events } = recorder();
  const answers: (Error | undefined)[] = [];
  const order: unknown[] = [];
  const { middleware, waiting } = rateLimit({
    upstream: "up",
    options,
    optionsOf: (received) => own.get(received.tool?.remoteName ?? "") ?? options,
    report,
  });
  const handle = middleware((received) => {
    order.push(received.params["arguments"]);
    const error = answers.shift();
    return error === undefined ? Promise.resolve(ok()) : Promise.reject(error);
  });
  const ask = (n: unknown, given: Partial<Call> = {}) =>
    outcomeOf(handle(call({ params: { arguments: n }, ...given })));
  return { ask, order, waiting, events, answers };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("rateLimit", () => {
  it("lets a burst through at once, and the rest in order at its rate", async () => {
    const { ask, order, waiting, events } = setUp({ requestsPerSecond: 10, burst: 2 });
    const answers = [1, 2, 3, 4].map((n) => ask(n));
    await pass(0);
    expect(order).toEqual([1, 2]);
    expect(waiting()).toBe(2);
    await pass(100);
    expect(order).toEqual([1, 2, 3]);
    await pass(100);
    expect(order).toEqual([1, 2, 3, 4]);
    expect(await Promise.all(answers)).toEqual([ok(), ok(), ok(), ok()]);
    expect(events).toMatchObject([
      { type: "call.waited", queue: "rateLimit", ms: 100 },
      { type: "call.waited", ms: 200 },
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("refuses at once, with the time to come back, what would wait too long", async () => {
    const { ask } = setUp({ requestsPerSecond: 1, burst: 1, maxWaitMs: 1500 });
    void ask(1);
    void ask(2);
    expect(await ask(3)).toMatchObject({
      code: "rate_limited",
      outcome: "failed",
      local: true,
      retryAfterMs: 2000,
    });
  });

  it("refuses at once what could not be sent within the call's time", async () => {
    const { ask } = setUp({ requestsPerSecond: 1, burst: 1 });
    void ask(1);
    const deadline = { at: now() + 500, max: Infinity };
    expect(await ask(2, { deadline })).toMatchObject({ code: "rate_limited", retryAfterMs: 1000 });
  });

  it("bounds how many wait", async () => {
    const { ask } = setUp({ requestsPerSecond: 10, burst: 1, maxQueue: 1 });
    void ask(1);
    void ask(2);
    expect(await ask(3)).toMatchObject({
      code: "rate_limited",
      message: expect.stringContaining("1 calls wait") as string,
    });
  });

  it("gives the place of a cancelled waiter to the next at once", async () => {
    const { ask, order, waiting } = setUp({ requestsPerSecond: 10, burst: 1 });
    const signal = new Cancel();
    void ask(1);
    const gone = ask(2, { signal });
    void ask(3);
    signal.cancel(cancelled("enough"));
    expect(await gone).toMatchObject({ code: "cancelled" });
    expect(waiting()).toBe(1);
    await pass(100);
    expect(order).toEqual([1, 3]);
  });

  it("leaves an upstream alone that asks for less, as long as it asks", async () => {
    const { ask, order, answers } = setUp({});
    answers.push(
      new CallError("rate_limited", "429", { outcome: "failed", status: 429, retryAfterMs: 5000 }),
    );
    expect(await ask(1)).toMatchObject({ code: "rate_limited", local: false });
    const later = ask(2);
    await pass(4999);
    expect(order).toEqual([1]);
    await pass(1);
    expect(await later).toEqual(ok());
  });

  it("refuses at once who waits when the upstream asks for more time than he has", async () => {
    const { ask, order, answers, waiting } = setUp({ requestsPerSecond: 10, burst: 1 });
    answers.push(
      new CallError("rate_limited", "429", { outcome: "failed", status: 429, retryAfterMs: 5000 }),
    );
    const until = (ms: number) => ({ deadline: { at: now() + ms, max: Infinity } });
    void ask(1);
    const late = ask(2, until(5050));
    const inTime = ask(3, until(5150));
    const behind = ask(4, until(5150));
    await pass(0);
    expect(waiting()).toBe(1);
    const refused = { code: "rate_limited", outcome: "failed", local: true };
    expect(await late).toMatchObject({ ...refused, retryAfterMs: 5100 });
    expect(await behind).toMatchObject({ ...refused, retryAfterMs: 5200 });
    await pass(5100);
    expect(await inTime).toEqual(ok());
    expect(order).toEqual([1, 3]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("bounds by maxWaitMs, from when a wait began, what a hold adds to it", async () => {
    const { ask, answers, waiting } = setUp({ requestsPerSecond: 1, burst: 1, maxWaitMs: 4000 });
    answers.push(
      new CallError("rate_limited", "429", { outcome: "failed", status: 429, retryAfterMs: 9000 }),
    );
    const signal = new Cancel();
    void ask(1);
    const held = [ask(2), ask(3, { signal })];
    await pass(0);
    expect(await Promise.all(held)).toMatchObject([
      { retryAfterMs: 10_000 },
      { retryAfterMs: 10_000 },
    ]);
    expect(waiting()).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("holds the whole upstream when it asks for less by a tool that has a limit of its own", async () => {
    const { ask, order, answers } = setUp({}, { slow: { requestsPerSecond: 100 } });
    answers.push(
      new CallError("rate_limited", "429", { outcome: "failed", status: 429, retryAfterMs: 5000 }),
    );
    await ask("slow", { tool: tool({ remoteName: "slow" }) });
    void ask("other");
    await pass(4999);
    expect(order).toEqual(["slow"]);
    await pass(1);
    expect(order).toEqual(["slow", "other"]);
  });

  it("uses a part of a declared quota", async () => {
    const { ask, order } = setUp({ quotaPerMinute: 600, burst: 1 });
    for (let n = 0; n < 20; n++) void ask(n);
    await pass(1000);
    expect(order).toHaveLength(1 + 8);
  });

  it("counts a tool's own limit beside its upstream's", async () => {
    const { ask, order } = setUp(
      { requestsPerSecond: 10, burst: 2 },
      { slow: { requestsPerSecond: 1, burst: 1 } },
    );
    const slow = { tool: tool({ remoteName: "slow" }) };
    void ask("s1", slow);
    void ask("s2", slow);
    void ask("u1");
    void ask("u2");
    await pass(0);
    expect(order).toEqual(["s1", "u1"]);
    await pass(100);
    expect(order).toEqual(["s1", "u1", "u2"]);
    await pass(900);
    expect(order).toEqual(["s1", "u1", "u2", "s2"]);
  });
});
