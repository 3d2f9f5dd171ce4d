import type { Call } from "./call.ts";
import type { Cancel } from "./cancel.ts";
import type { CallError } from "./errors.ts";
import { after } from "./time.ts";

/** Resolves `ms` milliseconds from now; rejects at once when the call is cancelled. */
export function pause(call: Pick<Call, "signal">, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (reason: CallError): void => {
      timer.clear();
      reject(reason);
    };
    const timer = after(ms, () => {
      call.signal.unsubscribe(leave);
      resolve();
    });
    call.signal.subscribe(leave);
  });
}

/** The value when it comes; rejects at once with the reason when `signal` is cancelled first. */
export const orCancelled = <Value>(value: Promise<Value>, signal: Cancel): Promise<Value> =>
  new Promise((resolve, reject) => {
    signal.subscribe(reject);
    value.then(resolve, reject).finally(() => signal.unsubscribe(reject));
  });
