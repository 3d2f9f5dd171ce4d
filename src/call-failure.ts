import type { Result } from "./call.ts";
import { classifyError, classifyResult, textOf } from "./classify.ts";
import type { CallError, FailureCode, Outcome } from "./errors.ts";
import { isObject } from "./wire.ts";

/** Why a call did not succeed: in one shape for a call that was rejected and for a tool's own no. All of it is JSON. */
export interface CallFailure {
  readonly code: FailureCode;
  readonly outcome: Outcome;
  readonly message: string;
  /** Whether another try may help. */
  readonly isTransient: boolean;
  /** Milliseconds that the upstream asks to wait. */
  readonly retryAfterMs?: number;
}

/** The failure that a result tells of; undefined where it is a success. */
export function failureOfResult(result: Result): CallFailure | undefined {
  if ((result["resultType"] ?? "complete") !== "complete") return unfinished;
  if (result["isError"] !== true) return undefined;
  const { failure, mayHaveHappened, retryAfterMs } = classifyResult(result);
  const { "holdfast/failure": told } = isObject(result["_meta"]) ? result["_meta"] : {};
  // What is told outright counts for more than what the words sound like.
  const inDoubt = isObject(told) ? told["outcome"] === "unknown" : mayHaveHappened;
  return {
    code: "upstream_error",
    outcome: inDoubt ? "unknown" : "answered",
    message: textOf(result).trim() || "the tool says no, without a word",
    isTransient: failure === "transient" || failure === "throttled",
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

/** A result that its client is to go on from, where there is no client that could. */
const unfinished: CallFailure = {
  code: "denied",
  outcome: "failed",
  message: "the tool needs input of its client first, which can be given to a call of its own only",
  isTransient: false,
};

/** The failure of a rejected call. */
export function failureOfError(error: CallError): CallFailure {
  const { code, message, outcome } = error;
  const { failure, mayHaveHappened, retryAfterMs = error.retryAfterMs } = classifyError(error);
  return {
    code,
    outcome: mayHaveHappened ? "unknown" : outcome,
    message,
    isTransient: failure === "transient" || failure === "throttled" || isRefusedForNow(error),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

/** Limits of our own that let the same call through later. */
const isRefusedForNow = ({ code, local }: CallError): boolean =>
  code === "circuit_open" ||
  code === "overloaded" ||
  (local && (code === "rate_limited" || code === "unavailable" || code === "timeout"));
