import type { Call, Middleware, Progress } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError } from "../errors.ts";
import { after, now } from "../time.ts";
import type { OptionsOf } from "./options.ts";
import type { TimeoutOptions } from "./timeout-options.ts";

/**
 * Gives a call its total time, through queues, retries and attempts. Every wait inside keeps to
 * `call.deadline`; this sets it. A call that came with an earlier deadline keeps that. Each attempt counts its
 * progress anew; what is told of it only grows.
 */
export const deadline =
  (optionsOf: OptionsOf<TimeoutOptions>): Middleware =>
  (next) =>
  (call) => {
    const options = optionsOf(call);
    if (options !== false) {
      const begun = now();
      call.deadline.at = Math.min(call.deadline.at, begun + options.totalMs);
      call.deadline.max = Math.min(call.deadline.max, begun + options.maxTotalMs);
    }
    const { onProgress } = call;
    return next(onProgress === undefined ? call : { ...call, onProgress: growing(onProgress) });
  };

/** Passes on what is above all that it has passed on before. */
function growing(tell: (progress: Progress) => void): (progress: Progress) => void {
  let last = -Infinity;
  return (note) => {
    if (note.progress > last) {
      last = note.progress;
      tell(note);
    }
  };
}

/**
 * Ends an attempt that takes longer than `attemptMs`, or than the call's total time. Progress starts the
 * attempt's time anew and moves the call's deadline with it, up to `maxTotalMs` from the call's start.
 * Rejects with `timeout` when its own timer fired; a cancel of the caller stays a cancel.
 */
export const timeout =
  (optionsOf: OptionsOf<TimeoutOptions>): Middleware =>
  (next) =>
  (call) => {
    const options = optionsOf(call);
    if (options === false) return next(call);
    const { attemptMs, resetOnProgress } = options;
    const begun = now();
    const attempt = new Cancel();
    let attemptEnd = begun + attemptMs;
    const expire = (): void => {
      const left = Math.min(attemptEnd, call.deadline.at) - now();
      // Progress moved the end, or the platform's timer was early by a fraction of a millisecond.
      if (left > 0) timer = after(Math.ceil(left), expire);
      else attempt.cancel(expired(call, now() - begun, attemptEnd <= call.deadline.at));
    };
    let timer = after(Math.min(attemptEnd, call.deadline.at) - begun, expire);
    const cancel = (reason: CallError): void => attempt.cancel(reason);
    call.signal.subscribe(cancel);
    const done = (): void => {
      timer.clear();
      call.signal.unsubscribe(cancel);
    };
    const onAlive = (laterMs?: number): void => {
      attemptEnd = laterMs === undefined ? now() + attemptMs : attemptEnd + laterMs;
      const { deadline: total } = call;
      total.at = Math.max(total.at, Math.min(attemptEnd, total.max));
    };
    return next({ ...call, signal: attempt, onAlive: resetOnProgress ? onAlive : undefined }).then(
      (result) => {
        done();
        return result;
      },
      (error: unknown) => {
        done();
        throw error;
      },
    );
  };

function expired(call: Call, ms: number, attempt: boolean): CallError {
  const limit = attempt ? "an attempt's time limit" : "the call's time limit";
  return new CallError(
    "timeout",
    `${call.upstream} did not answer within ${Math.round(ms)} ms (${limit})`,
    { outcome: "unknown", upstream: call.upstream },
  );
}
