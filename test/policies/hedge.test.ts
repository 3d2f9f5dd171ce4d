import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Call, Result } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { cancelled } from "../../src/errors.ts";
import { hedge } from "../../src/policies/hedge.ts";
import { hedgeOptions, type HedgeOptions } from "../../src/policies/hedge-options.ts";
import { call, ok, outcomeOf, recorder, tool } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const read = { tool: tool({ effect: "read" }) };

function setUp(over: Partial<HedgeOptions> = {}) {
  const { report, events } = recorder();
  const sent: { call: Call; answer: (with_: Result | Error) => void }[] = [];
  const options = hedgeOptions.parse({ enabled: true, afterMs: 100, ...over });
  const handle = hedge({ optionsOf: () => options, report })(
    (received) =>
      new Promise<Result>((resolve, reject) => {
        received.signal.subscribe(reject);
        const answer = (given: Result | Error) =>
          given instanceof Error ? reject(given) : resolve(given);
        sent.push({ call: received, answer });
      }),
  );
  return {
    handle,
    sent,
    events,
    ask: (given: Partial<Call> = read) => outcomeOf(handle(call(given))),
  };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("hedge", () => {
  it("sends a read again when it is slow, takes the first answer, and cancels the other", async () => {
    const { ask, sent, events } = setUp();
    const answer = ask();
    await pass(99);
    expect(sent).toHaveLength(1);
    await pass(1);
    expect(sent).toHaveLength(2);
    sent[1]?.answer(ok("second"));
    expect(await answer).toEqual(ok("second"));
    expect(sent[0]?.call.signal.reason).toMatchObject({ code: "cancelled" });
    expect(events.map(({ type }) => type)).toEqual(["call.hedged"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("sends nothing more when the answer is fast", async () => {
    const { ask, sent } = setUp();
    const answer = ask();
    sent[0]?.answer(ok());
    expect(await answer).toEqual(ok());
    expect(vi.getTimerCount()).toBe(0);
  });

  it("does so for reads alone", async () => {
    const { ask, sent } = setUp();
    void ask({ tool: tool({ effect: "idempotent" }) });
    await pass(1000);
    expect(sent).toHaveLength(1);
  });

  it("fails when all have failed, with the last failure", async () => {
    const { ask, sent } = setUp();
    const answer = ask();
    await pass(100);
    sent[0]?.answer(new Error("first"));
    await pass(0);
    sent[1]?.answer(new Error("second"));
    expect(await answer).toMatchObject({ message: "second" });
  });

  it("is cancelled as a whole", async () => {
    const { ask, sent } = setUp();
    const signal = new Cancel();
    const answer = ask({ ...read, signal });
    await pass(100);
    signal.cancel(cancelled("enough"));
    expect(await answer).toMatchObject({ message: "enough" });
    expect(sent.map((one) => one.call.signal.reason?.message)).toEqual(["enough", "enough"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("keeps to a budget", async () => {
    const { ask, sent } = setUp({ budgetRatio: 0.1, budgetFloor: 1 });
    for (let n = 0; n < 50; n++) void ask();
    await pass(200);
    expect(sent).toHaveLength(55);
  });
});
