/**
 * What went wrong, for programs.
 *
 * - `cancelled` the caller no longer wants the answer
 * - `timeout` no answer in time
 * - `circuit_open` the circuit breaker refuses calls
 * - `rate_limited` the rate limit or the upstream refuses calls
 * - `overloaded` a queue is full
 * - `budget_spent` the budget in money is spent
 * - `unavailable` the upstream is not connected, nothing was sent
 * - `connection_lost` the connection ended while the call was under way
 * - `upstream_error` the upstream answered with a JSON-RPC error
 * - `bad_answer` the upstream answered with something that is no answer
 * - `too_large` a message is over a size limit
 * - `denied` a rule forbids the call
 */
export type FailureCode =
  | "cancelled"
  | "timeout"
  | "circuit_open"
  | "rate_limited"
  | "overloaded"
  | "budget_spent"
  | "unavailable"
  | "connection_lost"
  | "upstream_error"
  | "bad_answer"
  | "too_large"
  | "denied";

/**
 * What is known of the effect of a call that failed: nothing was done; the tool said no; it may have happened;
 * it was found out afterwards that it has happened, and only its answer was lost.
 */
export type Outcome = "failed" | "answered" | "unknown" | "done";

/** A JSON-RPC error as it stands on the wire. */
export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

interface Details {
  readonly outcome: Outcome;
  readonly upstream?: string;
  /** Milliseconds until another try makes sense, where that is known. */
  readonly retryAfterMs?: number;
  /** The upstream's own JSON-RPC error, which passes as it is. */
  readonly rpc?: RpcError;
  /** The HTTP status of the upstream's answer, where there was one. */
  readonly status?: number;
  /** Whether one of our own limits refused the call; then it says nothing about the upstream. Default false. */
  readonly local?: boolean;
  /** How often the call was tried. Default 1. */
  readonly attempts?: number;
  readonly cause?: unknown;
}

/** What may be said otherwise of a failure that is passed on. */
interface Changes {
  readonly message?: string;
  readonly outcome?: Outcome;
  readonly attempts?: number;
  readonly retryAfterMs?: number;
}

/** The one error of a call's path. */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly code: FailureCode;
  readonly outcome: Outcome;
  readonly upstream: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly rpc: RpcError | undefined;
  readonly status: number | undefined;
  readonly local: boolean;
  readonly attempts: number;

  constructor(code: FailureCode, message: string, details: Details) {
    super(message, { cause: details.cause });
    this.code = code;
    this.outcome = details.outcome;
    this.upstream = details.upstream;
    this.retryAfterMs = details.retryAfterMs;
    this.rpc = details.rpc;
    this.status = details.status;
    this.local = details.local ?? false;
    this.attempts = details.attempts ?? 1;
  }

  /** The same failure with something said otherwise. */
  with({ message = this.message, ...changes }: Changes): CallError {
    const { code, outcome, upstream, retryAfterMs, rpc, status, local, attempts } = this;
    return new CallError(code, message, {
      outcome,
      local,
      attempts,
      ...(upstream !== undefined && { upstream }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      ...(rpc !== undefined && { rpc }),
      ...(status !== undefined && { status }),
      ...changes,
      cause: this.cause ?? this,
    });
  }
}

/** The error of a call that its caller no longer wants. `sent` tells whether the upstream has it. */
export const cancelled = (why: string, sent = false): CallError =>
  new CallError("cancelled", why, { outcome: sent ? "unknown" : "failed" });

/** Why all calls of a client are cancelled that has gone. It took nothing back. */
export const disconnected: CallError = cancelled("the client has gone");

/** Any thrown value as a CallError. A value that is none is a defect of ours or of a user's middleware. */
export function asCallError(error: unknown, upstream?: string): CallError {
  if (error instanceof CallError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new CallError("upstream_error", message, {
    outcome: "unknown",
    cause: error,
    ...(upstream !== undefined && { upstream }),
  });
}

/** The message of any thrown value. */
export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
