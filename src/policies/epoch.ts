import type { Call, Middleware } from "../call.ts";
import { effectOf } from "../effect.ts";
import type { Epoch } from "../epoch.ts";

/**
 * Begins a new epoch when a call that may change something starts, and when it ends, however it ends.
 * `onWrite` is told both times.
 */
export const epoch =
  (of: Epoch, onWrite?: (call: Call) => void): Middleware =>
  (next) =>
  (call) => {
    if (effectOf(call) === "read") return next(call);
    const changed = (): void => {
      of.bump();
      onWrite?.(call);
    };
    changed();
    return next(call).then(
      (result) => {
        changed();
        return result;
      },
      (error: unknown) => {
        changed();
        throw error;
      },
    );
  };
