import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { outputResult, runResult } from "../../src/workflows/run-result.ts";

const step = (name: string, state: string, effect = "write") => ({
  step: name,
  tool: "t",
  state,
  effect,
});

const view = (over: JsonObject): JsonObject => ({
  id: "r1",
  name: "order",
  kind: "saga",
  steps: [],
  ...over,
});

const textOf = (result: JsonObject): string =>
  (result["content"] as { text: string }[])[0]?.text ?? "";
const wordsOf = (over: JsonObject): string => textOf(runResult(view(over))).split("\n", 1)[0] ?? "";

const error = { step: "b", message: "out of stock" };

describe("runResult", () => {
  it.each<[JsonObject, string]>([
    [{ state: "completed" }, "The saga order is completed."],
    [
      { state: "compensated", error, steps: [step("a", "undone"), step("b", "failed")] },
      "The saga order did not come through (step b: out of stock). All that it had done was undone: a.",
    ],
    [
      { state: "compensated", error: { step: "", message: "not wanted" } },
      "The saga order did not come through (not wanted). All that it had done was undone: nothing was.",
    ],
    [
      { state: "failed", kind: "chain", error, steps: [step("a", "done")] },
      "The chain order failed (step b: out of stock). Steps that were done and stay done: a.",
    ],
    [
      { state: "failed", kind: "chain", error, steps: [step("b", "unknown")] },
      "The chain order failed (step b: out of stock). Steps that were done and stay done: none. Nobody knows whether these were done: b.",
    ],
    [
      { state: "stuck", reason: "unknown", open: [{ step: "a", problem: "gone" }] },
      "The saga order is stuck. Nobody knows whether these calls happened: a (gone). Nothing was guessed, and nothing undone. resume_run r1 tries again; resolve_run r1 tells whether a call happened, once a person has looked.",
    ],
    [
      { state: "stuck", reason: "missing", missing: ["the tool x is not there"] },
      "The saga order is stuck. It needs what is not there: the tool x is not there. It goes on by itself when that is back.",
    ],
    [
      { state: "running" },
      "The saga order is still running, as run r1. Ask get_run for how it goes; do not start it again.",
    ],
  ])("says of %j", (over, words) => {
    expect(wordsOf(over)).toBe(words);
  });

  it.each(["after_pivot", "undo_failed"])("names what cannot go on: %s", (reason) => {
    const open = [{ step: "c", problem: "no" }];
    expect(wordsOf({ state: "stuck", reason, error, open })).toContain("c (no)");
  });

  it.each<[string, object[], string | undefined]>([
    ["completed", [], undefined],
    ["running", [], undefined],
    ["compensating", [], undefined],
    ["compensated", [step("a", "undone")], "failed"],
    ["stuck", [], "unknown"],
    ["failed", [], "failed"],
    ["failed", [step("a", "done", "read")], "failed"],
    ["failed", [step("a", "done")], "unknown"],
    ["failed", [step("a", "unknown", "idempotent")], "unknown"],
    ["failed", [step("a", "failed")], "failed"],
  ])("tells what is known of the effect of one that is %s with %j", (state, steps, outcome) => {
    const result = runResult(view({ state, steps }));
    expect(result["_meta"]).toMatchObject({ "holdfast/run": { id: "r1", state } });
    const failure = (result["_meta"] as JsonObject)["holdfast/failure"];
    expect([result["isError"], failure]).toEqual(
      outcome === undefined ? [undefined, undefined] : [true, expect.objectContaining({ outcome })],
    );
  });

  it("has the view as it is, and as text", () => {
    const whole = view({ state: "completed", output: { a: 1 } });
    const result = runResult(whole);
    expect(result["structuredContent"]).toBe(whole);
    expect(JSON.parse(textOf(result).split("\n").slice(1).join("\n"))).toEqual(whole);
  });
});

describe("outputResult", () => {
  it.each<[unknown, string, boolean]>([
    [{ a: 1 }, '{\n  "a": 1\n}', true],
    ["plain", "plain", false],
    [[1], "[\n  1\n]", false],
    [null, "null", false],
    [0, "0", false],
  ])("gives the output: %j", (output, text, isStructured) => {
    const result = outputResult(view({ state: "completed", output }));
    expect(textOf(result)).toBe(text);
    expect(result["structuredContent"]).toEqual(isStructured ? output : undefined);
    expect(result["_meta"]).toEqual({ "holdfast/run": { id: "r1", state: "completed" } });
  });

  it("gives the run where there is no output, or none that could be made", () => {
    for (const state of ["compensated", "running", "stuck"])
      expect(outputResult(view({ state }))).toEqual(runResult(view({ state })));
    const result = outputResult(view({ state: "completed", output: null, problem: "no key" }));
    expect(textOf(result)).toContain("no key");
  });
});
