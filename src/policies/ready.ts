import type { Call, Middleware } from "../call.ts";
import { CallError } from "../errors.ts";

/**
 * Waits for an upstream that is not connected. The wait uses the call's total time, never an attempt's.
 * A connection may turn out to be gone when the call is about to be sent, such as an expired session;
 * then nothing was done, and the call waits for the next connection and is sent there, once.
 */
export const ready =
  (untilReady: (call: Call) => Promise<void> | undefined): Middleware =>
  (next) =>
  (call) => {
    const wait = untilReady(call);
    if (wait !== undefined) return wait.then(() => next(call));
    return next(call).catch((error: unknown) => {
      const again = wasNotSent(error) ? untilReady(call) : undefined;
      if (again === undefined) throw error;
      return again.then(() => next(call));
    });
  };

const wasNotSent = (error: unknown): boolean =>
  error instanceof CallError && error.code === "unavailable" && error.outcome === "failed";
