import pLimit from "p-limit";
import type { Call, Handle, Middleware, Result } from "../call.ts";
import { CallError } from "../errors.ts";
import type { Report } from "../events.ts";
import { after, now } from "../time.ts";
import type { BulkheadOptions } from "./bulkhead-options.ts";
import type { OptionsOf } from "./options.ts";

export interface BulkheadPolicy {
  readonly upstream: string;
  readonly optionsOf: OptionsOf<BulkheadOptions>;
  readonly report: Report;
}

/** The bulkhead of one upstream, and what to tell of it. */
export interface Bulkhead {
  readonly middleware: Middleware;
  /** How many calls have a place, and how many wait for one. */
  readonly status: () => { readonly active: number; readonly waiting: number };
}

/**
 * Bounds how many calls an upstream works on at once, and how many wait. Who is cancelled or out of time
 * leaves at once. Tools that config gives options of their own have places of their own.
 */
export function bulkhead({ upstream, optionsOf, report }: BulkheadPolicy): Bulkhead {
  const rooms = new Map<BulkheadOptions, Room>();
  const roomOf = (options: BulkheadOptions): Room => {
    let room = rooms.get(options);
    if (room === undefined) rooms.set(options, (room = new Room(upstream, options, report)));
    return room;
  };
  return {
    middleware: (next) => (call) => {
      const options = optionsOf(call);
      return options === false ? next(call) : roomOf(options).enter(call, next);
    },
    status: () =>
      [...rooms.values()].reduce(
        (sum, { active, waiting }) => ({
          active: sum.active + active,
          waiting: sum.waiting + waiting,
        }),
        { active: 0, waiting: 0 },
      ),
  };
}

class Room {
  readonly #upstream: string;
  readonly #options: BulkheadOptions;
  readonly #report: Report;
  /** Who waits, one after the other: the first of the line waits for a place, the others for the first. */
  readonly #line = pLimit(1);
  #active = 0;
  /** Who has left still has an entry in the line, which passes as nothing; so they are counted here. */
  #waiting = 0;
  #onFree: (() => void) | undefined;

  constructor(upstream: string, options: BulkheadOptions, report: Report) {
    this.#upstream = upstream;
    this.#options = options;
    this.#report = report;
  }

  get active(): number {
    return this.#active;
  }

  get waiting(): number {
    return this.#waiting;
  }

  enter(call: Call, next: Handle): Promise<Result> {
    const { maxConcurrent, maxQueue } = this.#options;
    if (this.#active < maxConcurrent && this.#waiting === 0) return this.#admit(call, next);
    if (this.#waiting >= maxQueue) return Promise.reject(this.#full(maxConcurrent, maxQueue));
    return this.#wait(call, next);
  }

  #admit(call: Call, next: Handle): Promise<Result> {
    this.#active++;
    return next(call).then(
      (result) => {
        this.#release();
        return result;
      },
      (error: unknown) => {
        this.#release();
        throw error;
      },
    );
  }

  #release(): void {
    this.#active--;
    this.#onFree?.();
  }

  #wait(call: Call, next: Handle): Promise<Result> {
    const begun = now();
    return new Promise((resolve, reject) => {
      let left = false;
      const leave = (reason: CallError): void => {
        left = true;
        stop();
        this.#onFree?.(); // it may be the first of the line
        reject(reason);
      };
      const stop = (): void => {
        this.#waiting--;
        timer?.clear();
        call.signal.unsubscribe(leave);
      };
      const { at } = call.deadline;
      const timer =
        at === Infinity ? undefined : after(at - begun, () => leave(this.#late(now() - begun)));
      this.#waiting++;
      call.signal.subscribe(leave);
      void this.#line(async () => {
        // oxlint-disable-next-line no-unmodified-loop-condition -- whoever leaves modifies it
        while (!left && this.#active >= this.#options.maxConcurrent)
          // oxlint-disable-next-line no-await-in-loop -- it waits
          await new Promise<void>((free) => (this.#onFree = free));
        this.#onFree = undefined;
        if (left) return;
        stop();
        this.#report({ type: "call.waited", call, queue: "bulkhead", ms: now() - begun });
        resolve(this.#admit(call, next));
      });
    });
  }

  #full(places: number, queue: number): CallError {
    return this.#overloaded(`it works on ${places} calls, and ${queue} wait`);
  }

  #late(ms: number): CallError {
    return this.#overloaded(`no place was free within ${Math.round(ms)} ms`);
  }

  #overloaded(why: string): CallError {
    return new CallError("overloaded", `${this.#upstream} has too much to do: ${why}`, {
      outcome: "failed",
      local: true,
      upstream: this.#upstream,
    });
  }
}
