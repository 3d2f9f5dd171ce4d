import type { Call, Middleware } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { asCallError, cancelled, CallError } from "../errors.ts";

/**
 * A new call replaces an older one of the same session, tool and key, which is cancelled. `keyOf` gives
 * undefined where config wants none of that; what it throws fails the call before anything is sent.
 */
export function supersede(keyOf: (call: Call) => string | undefined): Middleware {
  const underWay = new Map<string, Cancel>();
  return (next) => (call) => {
    let own: string | undefined;
    try {
      own = keyOf(call);
    } catch (error) {
      const { message } = asCallError(error);
      return Promise.reject(
        new CallError("denied", `the key of supersede cannot be made: ${message}`, {
          outcome: "failed",
          local: true,
          cause: error,
        }),
      );
    }
    if (own === undefined) return next(call);
    const key = JSON.stringify([call.caller.session, call.upstream, call.tool?.remoteName, own]);
    const signal = new Cancel();
    underWay.get(key)?.cancel(cancelled("a newer call has taken its place"));
    underWay.set(key, signal);
    call.signal.subscribe(signal);
    return next({ ...call, signal }).finally(() => {
      call.signal.unsubscribe(signal);
      if (underWay.get(key) === signal) underWay.delete(key);
    });
  };
}
