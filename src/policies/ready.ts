import type { Call, Middleware } from "../call.ts";

/** Waits for an upstream that is not connected. The wait uses the call's total time, never an attempt's. */
export const ready =
  (untilReady: (call: Call) => Promise<void> | undefined): Middleware =>
  (next) =>
  (call) => {
    const wait = untilReady(call);
    return wait === undefined ? next(call) : wait.then(() => next(call));
  };
