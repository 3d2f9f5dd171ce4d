import type { Call, Middleware, Progress } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError } from "../errors.ts";
import { after, now, type Timer } from "../time.ts";
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
      const begun = call.begun ?? now();
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
    const attempt = new Attempt(call, options.attemptMs);
    const { signal } = attempt;
    const onAlive = (laterMs?: number): void => {
      if (laterMs !== undefined || options.resetOnProgress) attempt.alive(laterMs);
    };
    return next({ ...call, signal, onAlive }).then(
      (result) => {
        attempt.end();
        return result;
      },
      (error: unknown) => {
        attempt.end();
        throw error;
      },
    );
  };

/** One attempt at a call, and its time. */
class Attempt {
  /** Cancelled when its time is over, and with the call. */
  readonly signal = new Cancel();
  readonly #call: Call;
  readonly #ms: number;
  readonly #begun = now();
  #endsAt: number;
  #timer: Timer;

  constructor(call: Call, ms: number) {
    this.#call = call;
    this.#ms = ms;
    this.#endsAt = this.#begun + ms;
    this.#timer = after(Math.min(this.#endsAt, call.deadline.at) - this.#begun, this.#expire);
    call.signal.subscribe(this.signal);
  }

  /** Starts its time anew, or adds so much to it, and moves the call's with it. */
  alive(laterMs?: number): void {
    const { deadline: total } = this.#call;
    this.#endsAt = laterMs === undefined ? now() + this.#ms : this.#endsAt + laterMs;
    total.at = Math.max(total.at, Math.min(this.#endsAt, total.max));
  }

  end(): void {
    this.#timer.clear();
    this.#call.signal.unsubscribe(this.signal);
  }

  readonly #expire = (): void => {
    const { at } = this.#call.deadline;
    const left = Math.min(this.#endsAt, at) - now();
    // Progress moved the end, or the platform's timer was early by a fraction of a millisecond.
    if (left > 0) this.#timer = after(Math.ceil(left), this.#expire);
    else this.signal.cancel(expired(this.#call, now() - this.#begun, this.#endsAt <= at));
  };
}

function expired(call: Call, ms: number, attempt: boolean): CallError {
  const limit = attempt ? "an attempt's time limit" : "the call's time limit";
  return new CallError(
    "timeout",
    `${call.upstream} did not answer within ${Math.round(ms)} ms (${limit})`,
    { outcome: "unknown", upstream: call.upstream },
  );
}
