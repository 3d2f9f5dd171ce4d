import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Call, Effect, Result } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { CallError, cancelled, type FailureCode, type Outcome } from "../../src/errors.ts";
import { now } from "../../src/time.ts";
import { retry, type Verified } from "../../src/policies/retry.ts";
import { retryOptions, type RetryOptions } from "../../src/policies/retry-options.ts";
import { call, ok, outcomeOf, recorder, scripted, tool } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const fails = (code: FailureCode, outcome: Outcome, more = {}): CallError =>
  new CallError(code, `it was ${code}`, { outcome, upstream: "up", ...more });
const lost = fails("connection_lost", "unknown");
const unsent = fails("unavailable", "failed");
const says = (text: string): Result => ({ isError: true, content: [{ type: "text", text }] });

interface Set {
  readonly effect?: Effect;
  readonly options?: Partial<RetryOptions> | false;
  readonly verify?: (call: Call) => Promise<Verified>;
  readonly over?: Partial<Call>;
}

function setUp({ effect = "read", options = {}, verify, over }: Set, ...turns: (Result | Error)[]) {
  const { handle, seen } = scripted(...turns);
  const { report, events } = recorder();
  const optionsOf = () => options && retryOptions.parse({ jitter: "none", ...options });
  const handled = retry({ optionsOf, report, ...(verify && { verify }) })(handle);
  const answer = outcomeOf(handled(call({ tool: tool({ effect }), ...over })));
  return { answer, seen, events, handled };
}

/** What a call came to when all its pauses were over, and how often it was sent. */
async function run(set: Set, ...turns: (Result | Error)[]) {
  const { answer, seen, events } = setUp(set, ...turns);
  await vi.runAllTimersAsync();
  return { got: await answer, sent: seen.length, events };
}

describe("retry", () => {
  it("leaves a success alone", async () => {
    expect(await run({}, ok())).toMatchObject({ got: ok(), sent: 1, events: [] });
  });

  it("tries a read again until it succeeds, and tells each time", async () => {
    const { got, sent, events } = await run({}, lost, lost, ok("third"));
    expect(got).toEqual(ok("third"));
    expect(sent).toBe(3);
    expect(events).toMatchObject([
      { type: "call.retried", attempt: 1, delayMs: 100, reason: lost.message },
      { type: "call.retried", attempt: 2, delayMs: 200 },
    ]);
  });

  it("gives the last failure with the number of attempts", async () => {
    const last = fails("timeout", "unknown");
    const { got, sent } = await run({}, lost, lost, last);
    expect(got).toMatchObject({ code: "timeout", outcome: "unknown", attempts: 3 });
    expect(sent).toBe(3);
  });

  it("sleeps nothing after the last attempt", async () => {
    const { answer } = setUp({}, lost, lost, lost);
    await vi.advanceTimersByTimeAsync(100 + 200 + 10);
    expect(vi.getTimerCount()).toBe(0);
    expect(await answer).toMatchObject({ code: "connection_lost" });
  });

  it("gives the last result as it is", async () => {
    const { got, sent } = await run(
      {},
      says("timed out 1"),
      says("timed out 2"),
      says("timed out 3"),
    );
    expect(got).toEqual(says("timed out 3"));
    expect(sent).toBe(3);
  });

  it("leaves a tool's own no alone", async () => {
    expect(await run({}, says("no such file"))).toMatchObject({ sent: 1 });
  });

  it("ends when a later attempt meets what no repetition changes", async () => {
    const open = fails("circuit_open", "failed", { local: true });
    const { got, sent } = await run({}, lost, open);
    expect(got).toMatchObject({ code: "circuit_open", attempts: 2 });
    expect(sent).toBe(2);
  });

  it("leaves unknown what the first attempt may have done where the pause after it is cancelled", async () => {
    const signal = new Cancel();
    const { answer } = setUp({ effect: "idempotent", over: { signal } }, lost, ok());
    await vi.advanceTimersByTimeAsync(50);
    signal.cancel(cancelled("no more"));
    expect(await answer).toMatchObject({ code: "cancelled", outcome: "unknown", attempts: 1 });
  });

  it("says that it is unknown where a tool's no follows an attempt that was lost", async () => {
    const no = { ...says("it exists already"), _meta: { theirs: 1 } };
    const set: Set = { effect: "write", options: { retryWrites: true } };
    expect((await run(set, lost, no)).got).toEqual({
      isError: true,
      content: [
        { type: "text", text: "it exists already" },
        {
          type: "text",
          text: "It was tried 2 times. It is not known whether it was done. Find out before you try again.",
        },
      ],
      _meta: {
        theirs: 1,
        "holdfast/failure": { code: "upstream_error", outcome: "unknown", attempts: 2 },
      },
    });
    expect((await run({ ...set, effect: "read" }, lost, no)).got).toEqual(no);
    expect((await run(set, unsent, no)).got).toEqual(no);
  });

  it("says that it is unknown where a write's own answer is that its time was over", async () => {
    const { got } = await run({ effect: "write" }, says("Request timed out"));
    expect(got).toMatchObject({
      _meta: { "holdfast/failure": { outcome: "unknown", attempts: 1 } },
    });
  });

  it("says that it is unknown where an error of the upstream follows an attempt that was lost", async () => {
    const rpc = { code: -32602, message: "it exists already" };
    const no = new CallError("upstream_error", rpc.message, { outcome: "answered", rpc });
    const set: Set = { effect: "write", options: { retryWrites: true } };
    const { got } = await run(set, lost, no);
    expect(got).toMatchObject({ message: rpc.message, outcome: "unknown", attempts: 2 });
    expect(got).toHaveProperty("rpc", undefined);
    expect((await run(set, no)).got).toBe(no);
  });

  it("leaves unknown what an earlier attempt may have done, though the last one did nothing", async () => {
    const open = fails("circuit_open", "failed", { local: true });
    const { got } = await run({ effect: "idempotent" }, lost, open);
    expect(got).toMatchObject({ code: "circuit_open", outcome: "unknown", attempts: 2 });
  });

  it.each<[Effect, Partial<RetryOptions>, Error | Result, number]>([
    ["read", {}, unsent, 2],
    ["idempotent", {}, unsent, 2],
    ["write", {}, unsent, 2],
    ["write", {}, fails("rate_limited", "failed", { status: 429 }), 2],
    ["write", {}, fails("unavailable", "failed", { status: 503 }), 2],
    ["read", {}, lost, 2],
    ["idempotent", {}, lost, 2],
    ["write", {}, lost, 1],
    ["write", {}, fails("timeout", "unknown"), 1],
    ["write", {}, fails("bad_answer", "unknown"), 1],
    ["write", {}, fails("upstream_error", "unknown", { status: 502 }), 1],
    ["write", { retryWrites: "throttled" }, lost, 1],
    ["write", { retryWrites: true }, lost, 2],
    ["read", {}, says("rate limit"), 2],
    ["idempotent", {}, says("temporarily unavailable"), 2],
    ["write", {}, says("rate limit"), 1],
    ["write", {}, says("temporarily unavailable"), 1],
    ["write", { retryWrites: "throttled" }, says("rate limit"), 2],
    ["write", { retryWrites: "throttled" }, says("temporarily unavailable"), 1],
    ["write", { retryWrites: true }, says("temporarily unavailable"), 2],
    ["read", { maxAttempts: 1 }, lost, 1],
    ["read", { retryable: ["hamster"] }, says("The Hamster is tired"), 2],
  ])("sends a %s with %j after %o so often: %i", async (effect, options, failure, sent) => {
    expect((await run({ effect, options }, failure, ok())).sent).toBe(sent);
  });

  it.each(["^(\\w+\\s?)*$", "(x+x+)+y", "^(a|aa)+$"])(
    "is not held up by the pattern %s",
    async (pattern) => {
      const text = `${"a".repeat(1000)}${"x".repeat(999)}!`;
      expect(await run({ options: { retryable: [pattern] } }, says(text))).toMatchObject({
        sent: 1,
      });
    },
  );

  it.each(["a(", "(?=a)b", "(a)\\1"])("refuses %s for a pattern, with its place", (pattern) => {
    const { error } = retryOptions.safeParse({ retryable: ["fine", pattern] });
    expect(error?.issues).toMatchObject([
      {
        path: ["retryable", 1],
        message: "expected a regular expression without look-around and back-references",
      },
    ]);
  });

  it("waits as long as the upstream asks, and longer when it asks for less without a time", async () => {
    const timed = fails("rate_limited", "failed", { retryAfterMs: 7000 });
    expect((await run({}, timed, ok())).events).toMatchObject([{ delayMs: 7000 }]);
    expect((await run({}, says("rate limit"), ok())).events).toMatchObject([{ delayMs: 1000 }]);
    expect((await run({}, says("unavailable"), ok())).events).toMatchObject([{ delayMs: 100 }]);
  });

  it("makes no attempt for which no time is left, and does not wait for that", async () => {
    const timed = fails("rate_limited", "failed", { retryAfterMs: 7000 });
    const deadline = { at: now() + 5000, max: Infinity };
    const { answer, seen } = setUp({ over: { deadline } }, timed, ok());
    expect(await answer).toMatchObject({ code: "rate_limited", retryAfterMs: 7000 });
    expect(seen).toHaveLength(1);
  });

  it("stops at once when the call is cancelled", async () => {
    const signal = new Cancel();
    const { answer, seen } = setUp({ over: { signal } }, lost, ok());
    await vi.advanceTimersByTimeAsync(50);
    signal.cancel(cancelled("no more"));
    expect(await answer).toMatchObject({ code: "cancelled", attempts: 1 });
    expect(vi.getTimerCount()).toBe(0);
    expect(seen).toHaveLength(1);
  });

  it("keeps to a budget for all calls of its upstream", async () => {
    const report = () => {};
    let sent = 0;
    const handled = retry({ optionsOf: () => retryOptions.parse({}), report })(() => {
      sent++;
      return Promise.reject(lost);
    });
    const calls = Array.from({ length: 100 }, () =>
      outcomeOf(handled(call({ tool: tool({ effect: "read" }) }))),
    );
    await vi.runAllTimersAsync();
    await Promise.all(calls);
    expect(sent).toBe(100 + 20);
  });

  describe("where a lost write can be verified", () => {
    it("sends it again when it did not happen", async () => {
      const verify = () => Promise.resolve("failed" as const);
      expect(await run({ effect: "write", verify }, lost, ok())).toMatchObject({
        got: ok(),
        sent: 2,
      });
    });

    it("says that it was done when it happened, and does not send it again", async () => {
      const verify = () => Promise.resolve("done" as const);
      const { got, sent } = await run({ effect: "write", verify }, lost);
      expect(got).toMatchObject({ code: "connection_lost", outcome: "done" });
      expect(sent).toBe(1);
    });

    it("leaves it unknown where verification does not tell", async () => {
      const verify = () => Promise.resolve("unknown" as const);
      const { got, sent } = await run({ effect: "write", verify }, lost);
      expect(got).toMatchObject({ code: "connection_lost", outcome: "unknown" });
      expect(sent).toBe(1);
    });

    it("is not asked where nothing was sent", async () => {
      const verify = vi.fn(() => Promise.resolve("done" as const));
      await run({ effect: "write", verify }, unsent, ok());
      expect(verify).not.toHaveBeenCalled();
    });

    it("says that nothing was done where no attempt is left", async () => {
      const verify = () => Promise.resolve("failed" as const);
      const options = { budgetFloor: 0, budgetRatio: 0 };
      const { got } = await run({ effect: "write", verify, options }, lost);
      expect(got).toMatchObject({ code: "connection_lost", outcome: "failed" });
    });

    it.each<[string, Partial<RetryOptions> | false, number]>([
      ["the last attempt", { maxAttempts: 2, retryWrites: true }, 2],
      ["the only attempt", { maxAttempts: 1 }, 1],
      ["an attempt with retry off", false, 1],
      ["an attempt without budget", { budgetFloor: 0, budgetRatio: 0 }, 1],
    ])("is asked after %s", async (_, options, sent) => {
      for (const found of ["done", "failed"] as const) {
        let asked = 0;
        const verify = () => Promise.resolve<Verified>(++asked === sent ? found : "unknown");
        const tried = await run({ effect: "write", verify, options }, ...Array(sent).fill(lost));
        expect(tried).toMatchObject({ got: { outcome: found, attempts: sent }, sent });
      }
    });

    it("forgets the doubt when it did not happen", async () => {
      const verify = () => Promise.resolve("failed" as const);
      const set: Set = { effect: "write", verify, options: { maxAttempts: 2 } };
      expect((await run(set, lost, unsent)).got).toMatchObject({ outcome: "failed", attempts: 2 });
      expect((await run(set, lost, says("it is full"))).got).toEqual(says("it is full"));
    });

    it("is asked after an internal error of the server", async () => {
      const rpc = { code: -32603, message: "Internal error" };
      const internal = fails("upstream_error", "answered", { rpc });
      const verify = () => Promise.resolve("done" as const);
      const { got } = await run({ effect: "write", verify }, internal);
      expect(got).toMatchObject({ outcome: "done" });
    });

    it("is not asked after a call that was cancelled", async () => {
      const verify = vi.fn(() => Promise.resolve("done" as const));
      const signal = new Cancel();
      signal.cancel(cancelled("no more", true));
      await run({ effect: "write", verify, over: { signal } }, cancelled("no more", true));
      expect(verify).not.toHaveBeenCalled();
    });
  });
});
