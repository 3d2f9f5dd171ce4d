import type { Call, Progress, Result } from "./call.ts";
import { Cancel } from "./cancel.ts";
import type { CallError } from "./errors.ts";

export type Start = (shared: Call) => Promise<Result>;

interface Waiter {
  readonly call: Call;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  readonly leave: (reason: CallError) => void;
}

/** One call under way, and those who wait for its answer. */
class Flight {
  readonly #waiters = new Set<Waiter>();
  readonly #signal = new Cancel();
  readonly #ended: () => void;

  /** `ended` is called when nobody can join any more; more than once at times. */
  constructor(call: Call, start: Start, ended: () => void) {
    this.#ended = ended;
    const { at, max } = call.deadline;
    const shared: Call = {
      ...call,
      signal: this.#signal,
      deadline: { at, max },
      onProgress: call.onProgress === undefined ? undefined : (progress) => this.#tell(progress),
      onAlive: () => this.#alive(),
    };
    start(shared).then(
      (result) => {
        for (const waiter of this.#end()) waiter.resolve(result);
      },
      (error: unknown) => {
        for (const waiter of this.#end()) waiter.reject(error);
      },
    );
  }

  join(call: Call): Promise<Result> {
    return new Promise((resolve, reject) => {
      const leave = (reason: CallError): void => {
        this.#waiters.delete(waiter);
        reject(reason);
        if (this.#waiters.size > 0) return;
        this.#ended();
        this.#signal.cancel(reason);
      };
      const waiter: Waiter = { call, resolve, reject, leave };
      this.#waiters.add(waiter);
      call.signal.subscribe(leave);
    });
  }

  /** Those who are still there; from now on they cannot leave. */
  #end(): Iterable<Waiter> {
    this.#ended();
    for (const { call, leave } of this.#waiters) call.signal.unsubscribe(leave);
    return this.#waiters;
  }

  #tell(progress: Progress): void {
    for (const { call } of this.#waiters) call.onProgress?.(progress);
  }

  #alive(): void {
    for (const { call } of this.#waiters) call.onAlive?.();
  }
}

/**
 * Calls under way that several share, by key. A waiter whose call is cancelled leaves at once; the shared
 * call is cancelled when the last has left. Its time is that of the call which started it.
 */
export class Flights {
  readonly #silent = new Map<string, Flight>();
  readonly #telling = new Map<string, Flight>();

  /** Whether a call of that key would share another's; one that wants progress only shares one that tells it. */
  has(key: string, wantsProgress = false): boolean {
    return this.#find(key, wantsProgress) !== undefined;
  }

  /** The answer of the call of that key that is under way, else of the one that `start` sends. */
  share(key: string, call: Call, start: Start): Promise<Result> {
    const { reason } = call.signal;
    if (reason !== undefined) return Promise.reject(reason);
    const wantsProgress = call.onProgress !== undefined;
    const flight = this.#find(key, wantsProgress) ?? this.#start(key, call, start, wantsProgress);
    return flight.join(call);
  }

  #find(key: string, wantsProgress: boolean): Flight | undefined {
    const telling = this.#telling.get(key);
    return wantsProgress ? telling : (this.#silent.get(key) ?? telling);
  }

  #start(key: string, call: Call, start: Start, wantsProgress: boolean): Flight {
    const flights = wantsProgress ? this.#telling : this.#silent;
    const flight = new Flight(call, start, () => {
      if (flights.get(key) === flight) flights.delete(key);
    });
    flights.set(key, flight);
    return flight;
  }
}
