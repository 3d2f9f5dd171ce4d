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

/** Turns that are kept for those who come, beside as many as there are calls that wait. */
const mostSpare = 1000;

class Room {
  readonly #upstream: string;
  readonly #options: BulkheadOptions;
  readonly #report: Report;
  /** Who waits, the first first. */
  readonly #waiters = new Set<() => void>();
  /** Lets one turn after the other look for a place. A turn is nobody's own: the first who waits takes it. */
  readonly #line = pLimit(1);
  /** Turns in the line. Who leaves lets his stay, and who comes next needs no other. */
  #turns = 0;
  #active = 0;
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
    return this.#waiters.size;
  }

  enter(call: Call, next: Handle): Promise<Result> {
    const { maxConcurrent, maxQueue } = this.#options;
    if (this.#active < maxConcurrent && this.waiting === 0) return this.#admit(call, next);
    if (this.waiting >= maxQueue) return Promise.reject(this.#full(maxConcurrent, maxQueue));
    return this.#wait(call, next);
  }

  #admit(call: Call, next: Handle): Promise<Result> {
    this.#active++;
    return next(call).then(this.#answered, this.#failed);
  }

  readonly #answered = (result: Result): Result => {
    this.#release();
    return result;
  };

  readonly #failed = (error: unknown): never => {
    this.#release();
    throw error;
  };

  #release(): void {
    this.#active--;
    this.#onFree?.();
  }

  #wait(call: Call, next: Handle): Promise<Result> {
    const begun = now();
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.#waiters.delete(enter);
        timer?.clear();
        call.signal.unsubscribe(leave);
      };
      const leave = (reason: CallError): void => {
        stop();
        if (this.#turns > 2 * this.waiting + mostSpare) this.#renew();
        reject(reason);
      };
      const enter = (): void => {
        stop();
        this.#report({ type: "call.waited", call, queue: "bulkhead", ms: now() - begun });
        resolve(this.#admit(call, next));
      };
      const { at } = call.deadline;
      const timer =
        at === Infinity ? undefined : after(at - begun, () => leave(this.#late(now() - begun)));
      this.#waiters.add(enter);
      call.signal.subscribe(leave);
      if (this.#turns < this.waiting) this.#addTurn();
    });
  }

  /** Waits for a place for the first who waits; for nobody, where all have left. */
  readonly #turn = async (): Promise<void> => {
    while (this.waiting > 0 && this.#active >= this.#options.maxConcurrent)
      // oxlint-disable-next-line no-await-in-loop -- it waits
      await new Promise<void>((free) => (this.#onFree = free));
    this.#onFree = undefined;
    this.#turns--;
    const [enter] = this.#waiters;
    enter?.();
  };

  /** Ends the turns that have not begun, and gives those who wait as many as they need. */
  #renew(): void {
    this.#turns -= this.#line.pendingCount;
    this.#line.clearQueue();
    while (this.#turns < this.waiting) this.#addTurn();
  }

  #addTurn(): void {
    this.#turns++;
    void this.#line(this.#turn);
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
