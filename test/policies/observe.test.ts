import { describe, expect, it } from "vitest";
import { CallError } from "../../src/errors.ts";
import { observe } from "../../src/policies/observe.ts";
import { call, ok, outcomeOf, recorder, scripted } from "../support/calls.ts";

describe("observe", () => {
  it("reports the start and a success, an error of the tool, and a failure", async () => {
    const { report, events, types } = recorder();
    const refusal = { ...ok("no"), isError: true };
    const failure = new CallError("timeout", "late", { outcome: "unknown" });
    const { handle } = scripted(ok(), refusal, failure);
    const observed = observe(report)(handle);
    expect(await observed(call())).toEqual(ok());
    expect(await observed(call())).toBe(refusal);
    expect(await outcomeOf(observed(call()))).toBe(failure);
    expect(types()).toEqual([
      "call.started",
      "call.succeeded",
      "call.started",
      "call.answered",
      "call.started",
      "call.failed",
    ]);
    expect(events[5]).toMatchObject({ error: failure });
  });

  it("makes a failure of any other thrown value, so that a defect in a middleware is told and answered", async () => {
    const { report } = recorder();
    const { handle } = scripted(new TypeError("undefined is no function"));
    expect(await outcomeOf(observe(report)(handle)(call()))).toMatchObject({
      code: "upstream_error",
      outcome: "unknown",
      message: "undefined is no function",
    });
  });
});
