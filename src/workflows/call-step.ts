import { backoff } from "../backoff.ts";
import { failureOfError, failureOfResult, type CallFailure } from "../call-failure.ts";
import type { Caller, Effect, JsonObject, Result, Tool } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import { asCallError, messageOf } from "../errors.ts";
import { valueOf } from "../result-value.ts";
import { parentOf } from "../trace.ts";
import { pause } from "../wait.ts";
import { isObject } from "../wire.ts";
import type { Tools } from "./check-tools.ts";
import { stepRetry, type StepRetry } from "./definition.ts";

/** A request that a workflow makes of a tool, through the tool's whole stack. */
export interface DoorRequest {
  readonly caller: Caller;
  readonly signal: Cancel;
  /** Milliseconds that it may take in all; undefined: what the server's policies say. */
  readonly timeoutMs: number | undefined;
  readonly meta: JsonObject;
  /** Whether the answer must come from the server itself. */
  readonly fresh: boolean;
}

/** The way from workflows to tools. */
export interface Door extends Tools {
  /** What a tool is beside its name: where another server, or a server run otherwise, has it, it is another tool. */
  readonly identity: (tool: Tool) => string;
  readonly call: (tool: Tool, args: JsonObject, request: DoorRequest) => Promise<Result>;
}

/** On whose behalf tools are called. */
export interface Runner {
  readonly door: Door;
  readonly caller: Caller;
  /** W3C trace id. */
  readonly trace: string;
}

export interface StepCall {
  readonly tool: string;
  readonly args: JsonObject;
  /** The same for every attempt at one effect. */
  readonly key?: string;
  readonly timeoutMs: number | undefined;
  readonly signal: Cancel;
  readonly fresh?: boolean;
}

/** What a call came to. */
export type Called = { readonly value: unknown } | { readonly failure: CallFailure };

/** Milliseconds that a step waits for an upstream that asks for it; for more it fails. */
const longestWait = 600_000;

/** Calls a tool once. Never rejects. */
export async function callOnce({ door, caller, trace }: Runner, call: StepCall): Promise<Called> {
  const { tool: name, args, key, timeoutMs, signal, fresh = false } = call;
  const tool = door.find(name);
  if (tool === undefined || "refused" in tool) return { failure: missing(name) };
  // A read has no effect to be recognised by, and is to share what others have read.
  const isKeyed = key !== undefined && tool.effect !== "read";
  const meta = {
    traceparent: parentOf(trace),
    ...(isKeyed && { "holdfast/idempotency-key": key }),
  };
  try {
    const result = await door.call(tool, args, { caller, signal, timeoutMs, meta, fresh });
    const failure = failureOfResult(result) ?? underWay(result);
    return failure === undefined ? keepable(valueOf(result)) : { failure };
  } catch (error) {
    return { failure: failureOfError(asCallError(error)) };
  }
}

/** Of a step that says nothing of attempts: those of the policies are enough. */
export const once = stepRetry.parse({ maxAttempts: 1 });

/** What is done between two attempts. Where one rejects, there is no other attempt. */
export interface Between {
  /** Before the pause. The failure is what is known of all attempts so far. */
  readonly failed: (failure: CallFailure) => Promise<void>;
  /** After the pause. */
  readonly again: () => Promise<void>;
}

/**
 * Calls a tool until it succeeds, `mayTryAgain` says no, or the attempts are spent. What one attempt may have
 * done stays unknown, however the last one fails. Rejects with what `between` rejects with.
 */
export async function callWithRetry(
  runner: Runner,
  call: StepCall,
  retry: StepRetry,
  mayTryAgain: (failure: CallFailure) => boolean,
  between?: Between,
): Promise<Called> {
  let inDoubt = false;
  for (let attempt = 1; ; attempt++) {
    // oxlint-disable no-await-in-loop -- one attempt after the other
    const called = doubted(await callOnce(runner, call), inDoubt);
    inDoubt ||= "failure" in called && called.failure.outcome === "unknown";
    if ("value" in called || attempt >= retry.maxAttempts || !mayTryAgain(called.failure))
      return called;
    const { retryAfterMs = 0 } = called.failure;
    const usual = backoff(attempt, { ...retry, jitter: "quarter" });
    if (retryAfterMs > longestWait) return called;
    await between?.failed(called.failure);
    try {
      await pause(call, Math.max(usual, retryAfterMs));
    } catch {
      return called; // cancelled while it waited: nothing more was sent
    }
    await between?.again();
    // oxlint-enable no-await-in-loop
  }
}

const doubted = (called: Called, inDoubt: boolean): Called =>
  inDoubt && "failure" in called && called.failure.outcome !== "done"
    ? { failure: { ...called.failure, outcome: "unknown" } }
    : called;

/** Whether another attempt repeats no effect, and may help. */
export const repeatable =
  (effect: Effect) =>
  ({ outcome, isTransient }: CallFailure): boolean =>
    isTransient && outcome !== "done" && (outcome !== "unknown" || effect !== "write");

/** A run that its caller no longer waited for has not come to an end. */
function underWay({ _meta: meta }: Result): CallFailure | undefined {
  const run = isObject(meta) ? meta["holdfast/run"] : undefined;
  if (!isObject(run) || (run["state"] !== "running" && run["state"] !== "compensating"))
    return undefined;
  const message = `the run ${String(run["id"])} is still ${run["state"]}`;
  return { code: "timeout", outcome: "unknown", message, isTransient: true };
}

/** JSON can be read that is nested too deeply to be written. */
function keepable(value: unknown): Called {
  try {
    JSON.stringify(value);
    return { value };
  } catch (error) {
    const message = `it was done, but its result cannot be kept: ${messageOf(error)}`;
    return { failure: { code: "bad_answer", outcome: "done", message, isTransient: false } };
  }
}

const missing = (name: string): CallFailure => ({
  code: "unavailable",
  outcome: "failed",
  message: `there is no tool ${JSON.stringify(name)} now`,
  isTransient: true,
});
