import type { Effect, JsonObject, Result } from "../call.ts";
import type { CallError, FailureCode } from "../errors.ts";

/** What there is to say of a failed call beside its error. */
export interface FailedCall {
  readonly effect: Effect;
  /** Milliseconds from the request to the failure. */
  readonly elapsedMs: number;
  /** Exposed names of tools that may do the same. */
  readonly alternatives: readonly string[];
}

/** Failures that the same call meets again, however long one waits. */
const lasting: readonly FailureCode[] = ["denied", "too_large"];
/** Failures after which another tool may help. */
const elsewhere: readonly FailureCode[] = [
  "timeout",
  "circuit_open",
  "rate_limited",
  "overloaded",
  "budget_spent",
  "unavailable",
  "connection_lost",
  "bad_answer",
  "upstream_error",
];

/**
 * A failed call as its caller reads it: a model reads the text, a program the `_meta`.
 * The one place where a CallError becomes a result.
 */
export function failureResult(error: CallError, about: FailedCall): Result {
  const { code, outcome, attempts, retryAfterMs } = error;
  // After something that may have been done, doing it elsewhere is no way out.
  const isSafe = outcome === "failed" || (outcome === "unknown" && about.effect === "read");
  const alternatives = isSafe && elsewhere.includes(code) ? about.alternatives : [];
  const failure: JsonObject = {
    code,
    outcome,
    message: error.message,
    attempts,
    elapsedMs: Math.round(about.elapsedMs),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(alternatives.length > 0 && { alternatives }),
  };
  const sentences = [
    `${error.message}.`,
    attempts > 1 && `It was tried ${attempts} times.`,
    whatWasDone(error, about.effect),
    whetherAgain(error, about.effect),
    alternatives.length > 0 && `You can use ${alternatives.join(" or ")} instead.`,
  ];
  return {
    content: [{ type: "text", text: sentences.filter(Boolean).join(" ") }],
    isError: true,
    _meta: { "holdfast/failure": failure },
  };
}

const isLasting = ({ code, outcome, status = 0, retryAfterMs }: CallError): boolean =>
  lasting.includes(code) ||
  (code === "budget_spent" && retryAfterMs === undefined) ||
  (code === "upstream_error" && outcome === "failed" && status >= 400 && status < 500);

function whatWasDone({ outcome }: CallError, effect: Effect): string | undefined {
  switch (outcome) {
    case "failed":
      return "Nothing was done.";
    case "done":
      return "It was done: do not call it again.";
    case "unknown":
      return effect === "read" ? undefined : "It is not known whether it was done.";
    case "answered":
      return "The server refused; the same call will be refused again.";
  }
}

function whetherAgain(error: CallError, effect: Effect): string | undefined {
  const { code, outcome, retryAfterMs } = error;
  if (outcome === "done" || outcome === "answered" || code === "cancelled") return undefined;
  if (isLasting(error)) return "The same call will be refused again.";
  if (outcome === "unknown" && effect === "write") return "Find out before you try again.";
  return retryAfterMs === undefined || retryAfterMs === 0
    ? "You may try again."
    : `Try again in ${Math.ceil(retryAfterMs / 1000)} s.`;
}
