import { describe, expect, it } from "vitest";
import type { Effect } from "../../src/call.ts";
import { CallError, type FailureCode, type Outcome } from "../../src/errors.ts";
import { failureResult } from "../../src/front/failure.ts";

const told = (code: FailureCode, outcome: Outcome, effect: Effect, more = {}) => {
  const error = new CallError(code, "It failed", { outcome, ...more });
  const about = { effect, elapsedMs: 12.3, alternatives: ["other__do"] };
  const result = failureResult(error, about);
  const [block] = result["content"] as { text: string }[];
  const { "holdfast/failure": failure } = result["_meta"] as Record<string, object>;
  return { text: block?.text, failure };
};

describe("failureResult", () => {
  it.each<[FailureCode, Outcome, Effect, object, string]>([
    [
      "circuit_open",
      "failed",
      "write",
      { retryAfterMs: 2500 },
      "Nothing was done. Try again in 3 s. You can use other__do instead.",
    ],
    [
      "overloaded",
      "failed",
      "write",
      {},
      "Nothing was done. You may try again. You can use other__do instead.",
    ],
    [
      "timeout",
      "unknown",
      "read",
      { attempts: 3 },
      "It was tried 3 times. You may try again. You can use other__do instead.",
    ],
    [
      "timeout",
      "unknown",
      "idempotent",
      {},
      "It is not known whether it was done. You may try again.",
    ],
    [
      "timeout",
      "unknown",
      "write",
      {},
      "It is not known whether it was done. Find out before you try again.",
    ],
    ["connection_lost", "done", "write", {}, "It was done: do not call it again."],
    [
      "budget_spent",
      "failed",
      "write",
      {},
      "Nothing was done. The same call will be refused again. You can use other__do instead.",
    ],
    [
      "budget_spent",
      "failed",
      "write",
      { retryAfterMs: 60_000 },
      "Nothing was done. Try again in 60 s. You can use other__do instead.",
    ],
    [
      "upstream_error",
      "failed",
      "write",
      { status: 400 },
      "Nothing was done. The same call will be refused again. You can use other__do instead.",
    ],
    ["denied", "failed", "read", {}, "Nothing was done. The same call will be refused again."],
    ["cancelled", "failed", "read", {}, "Nothing was done."],
  ])("says of %s, %s, %s %j: …%s", (code, outcome, effect, more, text) => {
    expect(told(code, outcome, effect, more).text).toBe(`It failed. ${text}`);
  });

  it("tells programs the same", () => {
    expect(told("circuit_open", "failed", "write", { retryAfterMs: 2500 }).failure).toEqual({
      code: "circuit_open",
      outcome: "failed",
      message: "It failed",
      attempts: 1,
      elapsedMs: 12,
      retryAfterMs: 2500,
      alternatives: ["other__do"],
    });
  });
});
