import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Call, Result } from "../../src/call.ts";
import { cancelled, CallError, type FailureCode, type Outcome } from "../../src/errors.ts";
import { circuitBreaker } from "../../src/policies/circuit-breaker.ts";
import {
  circuitBreakerOptions,
  type CircuitBreakerOptions,
} from "../../src/policies/circuit-breaker-options.ts";
import { call, ok, outcomeOf, recorder, tool } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const fails = (code: FailureCode, outcome: Outcome, more = {}): CallError =>
  new CallError(code, "it failed", { outcome, ...more });
const says = (text: string): Result => ({ isError: true, content: [{ type: "text", text }] });

function setUp(
  over: Partial<CircuitBreakerOptions> = {},
  ofTools: Record<string, Partial<CircuitBreakerOptions>> = {},
) {
  const { report, events } = recorder();
  const options = circuitBreakerOptions.parse(over);
  const own = new Map(
    Object.entries(ofTools).map(([name, given]) => [name, circuitBreakerOptions.parse(given)]),
  );
  let answer: () => Error | Result = () => ok();
  const { middleware, status } = circuitBreaker({
    upstream: "up",
    shared: options,
    optionsOf: (received) => own.get(received.tool?.remoteName ?? "") ?? options,
    report,
  });
  let sent = 0;
  const handle = middleware(() => {
    sent++;
    const given = answer();
    return given instanceof Error ? Promise.reject(given) : Promise.resolve(given);
  });
  return {
    status,
    events,
    sent: () => sent,
    ask: (given: Partial<Call> = {}) => outcomeOf(handle(call(given))),
    /** Makes so many calls with that answer; a new one each time. */
    give: async (count: number, made: () => Error | Result, given: Partial<Call> = {}) => {
      answer = made;
      for (let n = 0; n < count; n++) await outcomeOf(handle(call(given)));
    },
  };
}

describe("circuitBreaker", () => {
  it("refuses calls at once after failures in a row, and says when to come back", async () => {
    const { give, ask, sent, events, status } = setUp();
    await give(5, () => fails("timeout", "unknown"));
    expect(await ask()).toMatchObject({
      code: "circuit_open",
      outcome: "failed",
      local: true,
      retryAfterMs: 30_000,
    });
    expect(sent()).toBe(5);
    expect(events).toMatchObject([
      { type: "circuit.changed", upstream: "up", from: "closed", to: "open", openMs: 30_000 },
    ]);
    expect(status()).toEqual([{ state: "open", retryAfterMs: 30_000 }]);
  });

  it("closes again when a probe succeeds", async () => {
    const { give, ask, status } = setUp();
    await give(5, () => fails("timeout", "unknown"));
    vi.advanceTimersByTime(30_000);
    await give(1, () => ok());
    expect(status()).toEqual([{ state: "closed" }]);
    expect(await ask()).toEqual(ok());
  });

  it.each<[string, () => Error | Result]>([
    ["a cancel", () => cancelled("enough")],
    ["a local refusal", () => fails("overloaded", "failed", { local: true })],
    ["a lack of connection", () => fails("unavailable", "failed")],
    ["a 429", () => fails("rate_limited", "failed", { status: 429 })],
    ["a refused credential", () => fails("denied", "failed", { status: 401 })],
    ["an ordinary isError", () => says("no such file")],
    ["a plea for less", () => says("rate limit")],
    [
      "a bad argument",
      () =>
        fails("upstream_error", "answered", { rpc: { code: -32602, message: "Invalid params" } }),
    ],
  ])("does not count %s", async (_, made) => {
    const { give, status } = setUp();
    await give(50, made);
    expect(status()).toEqual([{ state: "closed" }]);
  });

  it.each<[string, () => Error | Result]>([
    ["a timeout", () => fails("timeout", "unknown")],
    ["a lost connection", () => fails("connection_lost", "unknown")],
    ["a bad answer", () => fails("bad_answer", "unknown")],
    ["a 503", () => fails("unavailable", "failed", { status: 503 })],
    ["a 500", () => fails("upstream_error", "unknown", { status: 500 })],
    [
      "an internal error",
      () => fails("upstream_error", "answered", { rpc: { code: -32603, message: "x" } }),
    ],
    ["an isError that is transient", () => says("service unavailable")],
  ])("counts %s", async (_, made) => {
    const { give, status } = setUp();
    await give(5, made);
    expect(status()).toMatchObject([{ state: "open" }]);
  });

  it("counts all that fails for one and the same cause once", async () => {
    const { give, status } = setUp();
    const exit = new Error("it exited");
    await give(64, () => fails("connection_lost", "unknown", { cause: exit }));
    expect(status()).toEqual([{ state: "closed" }]);
    for (let n = 0; n < 4; n++)
      await give(1, () => fails("connection_lost", "unknown", { cause: new Error("again") }));
    expect(status()).toMatchObject([{ state: "open" }]);
  });

  it("has a circuit for each tool where that is wanted", async () => {
    const { give, ask, status } = setUp({ perTool: true });
    const bad = { tool: tool({ name: "bad", remoteName: "bad" }) };
    await give(5, () => fails("timeout", "unknown"), bad);
    await give(1, () => ok(), { tool: tool({ name: "good", remoteName: "good" }) });
    expect(await ask(bad)).toMatchObject({ code: "circuit_open" });
    expect(status()).toMatchObject([
      { tool: "bad", state: "open" },
      { tool: "good", state: "closed" },
    ]);
  });

  it("tells the circuit of a tool that has options of its own with its name", async () => {
    const { give, events, status } = setUp({}, { odd: { consecutiveFailures: 1, openMs: 100 } });
    const odd = { tool: tool({ name: "odd", remoteName: "odd" }) };
    await give(5, () => fails("timeout", "unknown"));
    await give(1, () => fails("timeout", "unknown"), odd);
    vi.advanceTimersByTime(100);
    await give(1, () => ok(), odd);
    expect(status()).toMatchObject([{ state: "open" }, { tool: "odd", state: "closed" }]);
    expect(events.map((event) => "tool" in event && event.tool)).toEqual([
      false,
      "odd",
      "odd",
      "odd",
    ]);
  });

  it("shows at once, and tells once, that config holds it open", async () => {
    const { give, ask, events, status, sent } = setUp({ force: "open", perTool: true });
    expect(status()).toEqual([{ state: "open" }]);
    await give(3, () => ok());
    expect(await ask()).toMatchObject({
      code: "circuit_open",
      message: "up is not called for now: config holds its circuit open",
      retryAfterMs: undefined,
    });
    expect(sent()).toBe(0);
    expect(events).toEqual([
      {
        type: "circuit.changed",
        upstream: "up",
        from: "closed",
        to: "open",
        reason: "config holds it open",
      },
    ]);
  });
});
