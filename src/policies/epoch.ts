import type { Call, Middleware, Result } from "../call.ts";
import { effectOf } from "../effect.ts";
import type { Epoch } from "../epoch.ts";

const ends = new Set<unknown>(["completed", "failed", "cancelled"]);

/** Whether an answer says that a task has ended, which may have changed something until then. */
const tellsEnd = ({ method }: Call, result: Result): boolean =>
  method === "tasks/result" || (method === "tasks/get" && ends.has(result["status"]));

/**
 * Begins a new epoch when a call that may change something starts, and when it ends, however it ends.
 * `onWrite` is told both times.
 */
export function epoch(of: Epoch, onWrite?: (call: Call) => void): Middleware {
  const changed = (call: Call): void => {
    of.bump();
    onWrite?.(call);
  };
  return (next) => (call) => {
    const isRead = effectOf(call) === "read";
    if (isRead && !call.method.startsWith("tasks/")) return next(call);
    if (!isRead) changed(call);
    return next(call).then(
      (result) => {
        if (!isRead || tellsEnd(call, result)) changed(call);
        return result;
      },
      (error: unknown) => {
        if (!isRead) changed(call);
        throw error;
      },
    );
  };
}
