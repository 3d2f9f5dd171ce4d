import type { Call, Middleware } from "../call.ts";
import { CallError } from "../errors.ts";
import type { BulkheadOptions } from "./bulkhead-options.ts";
import type { OptionsOf } from "./options.ts";

/** What is known of the connection of one upstream. */
export interface ReadyPolicy {
  readonly upstream: string;
  /** Undefined when a call can go now, else a promise that it can; rejects when that is too far off. */
  readonly untilReady: (call: Call) => Promise<void> | undefined;
  /** How many calls it takes once it is connected: no more wait until then. */
  readonly bulkheadOf: OptionsOf<BulkheadOptions>;
}

/**
 * Waits for an upstream that is not connected. The wait uses the call's total time, never an attempt's.
 * A connection may turn out to be gone when the call is about to be sent, such as an expired session;
 * then nothing was done, and the call waits for the next connection and is sent there, once.
 * Rejects with `overloaded` where too many wait already.
 */
export const ready = ({ upstream, untilReady, bulkheadOf }: ReadyPolicy): Middleware => {
  let waiting = 0;
  const isFull = (call: Call): boolean => {
    const options = waiting > 0 && bulkheadOf(call);
    return options !== false && waiting >= options.maxConcurrent + options.maxQueue;
  };
  const counted = (wait: Promise<void>): Promise<void> => {
    waiting++;
    return wait.finally(() => waiting--);
  };
  return (next) => (call) => {
    if (isFull(call)) return Promise.reject(full(upstream, waiting));
    const wait = untilReady(call);
    if (wait !== undefined) return counted(wait).then(() => next(call));
    return next(call).catch((error: unknown) => {
      const again = wasNotSent(error) ? untilReady(call) : undefined;
      if (again === undefined) throw error;
      return counted(again).then(() => next(call));
    });
  };
};

const full = (upstream: string, waiting: number): CallError =>
  new CallError("overloaded", `${upstream} is not connected, and ${waiting} calls wait for it`, {
    outcome: "failed",
    local: true,
    upstream,
  });

const wasNotSent = (error: unknown): boolean =>
  error instanceof CallError && error.code === "unavailable" && error.outcome === "failed";
