import type { Call, Progress, Result } from "./call.ts";
import { Cancel } from "./cancel.ts";
import { CallError } from "./errors.ts";
import { KeyTable } from "./key-table.ts";
import { isPersonal } from "./personal.ts";
import { after, now } from "./time.ts";

export type Start = (shared: Call) => Promise<Result>;

interface Waiter {
  readonly call: Call;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  readonly leave: (reason: CallError) => void;
}

/** One call under way, and those who wait for its answer. */
class Flight {
  /** The one who waits, where it is one alone, as it mostly is. */
  #only: Waiter | undefined;
  #several: Set<Waiter> | undefined;
  readonly #signal = new Cancel();
  readonly #begun: Call;
  readonly #start: Start;
  readonly #ended: (flight: Flight) => void;

  /** `ended` is called when nobody can join any more; more than once at times. */
  constructor(call: Call, start: Start, ended: (flight: Flight) => void) {
    this.#begun = call;
    this.#start = start;
    this.#ended = ended;
    const shared: Call = {
      ...call,
      signal: this.#signal,
      onProgress: call.onProgress === undefined ? undefined : (progress) => this.#tell(progress),
      onAlive: (laterMs) => this.#alive(laterMs),
    };
    start(shared).then(
      (result) => {
        for (const waiter of this.#end(result)) waiter.resolve(result);
      },
      (error: unknown) => {
        for (const waiter of this.#end(error)) waiter.reject(error);
      },
    );
  }

  /** Waits as `wait` does, but no longer than the call's own time allows. */
  join(call: Call): Promise<Result> {
    const { at } = call.deadline;
    if (at === Infinity) return this.wait(call);
    const begun = now();
    const signal = new Cancel();
    call.signal.subscribe(signal);
    const timer = after(at - begun, () => signal.cancel(late(call, now() - begun)));
    return this.wait({ ...call, signal }).finally(() => {
      timer.clear();
      call.signal.unsubscribe(signal);
    });
  }

  wait(call: Call): Promise<Result> {
    return new Promise((resolve, reject) => {
      const leave = (reason: CallError): void => {
        reject(reason);
        if (this.#only === waiter) this.#only = undefined;
        else this.#several?.delete(waiter);
        if (this.#only !== undefined || (this.#several?.size ?? 0) > 0) return;
        this.#ended(this);
        this.#signal.cancel(reason);
      };
      const waiter: Waiter = { call, resolve, reject, leave };
      this.#add(waiter);
      call.signal.subscribe(leave);
    });
  }

  #add(waiter: Waiter): void {
    if (this.#several !== undefined) this.#several.add(waiter);
    else if (this.#only === undefined) this.#only = waiter;
    else {
      this.#several = new Set([this.#only, waiter]);
      this.#only = undefined;
    }
  }

  #waiters(): Iterable<Waiter> {
    return this.#several ?? (this.#only === undefined ? [] : [this.#only]);
  }

  /** Those who are still there and get the outcome; from now on they cannot leave. */
  #end(outcome: unknown): Iterable<Waiter> {
    this.#ended(this);
    const waiters = this.#waiters();
    for (const { call, leave } of waiters) call.signal.unsubscribe(leave);
    return isPersonal(outcome) ? this.#alone(waiters) : waiters;
  }

  /** Of an outcome that is one client's alone: its waiters. The others' calls are sent for themselves. */
  #alone(waiters: Iterable<Waiter>): Iterable<Waiter> {
    const { session, peer } = this.#begun.caller;
    const own: Waiter[] = [];
    for (const waiter of waiters) {
      const { caller } = waiter.call;
      if (caller.session === session && caller.peer === peer) own.push(waiter);
      else this.#start(waiter.call).then(waiter.resolve, waiter.reject);
    }
    return own;
  }

  #tell(progress: Progress): void {
    for (const { call } of this.#waiters()) call.onProgress?.(progress);
  }

  #alive(laterMs?: number): void {
    for (const { call } of this.#waiters()) call.onAlive?.(laterMs);
  }
}

/** Nothing is done by a read, and only reads are shared. */
const late = ({ upstream }: Call, ms: number): CallError =>
  new CallError(
    "timeout",
    `${upstream} did not answer within ${Math.round(ms)} ms (the call's time limit; it shared another's)`,
    { outcome: "failed", upstream },
  );

/**
 * Calls under way that several share, by key. A waiter whose call is cancelled, or has no time left, leaves
 * at once; the shared call is cancelled when the last has left. Its time is that of the call which started it.
 */
export class Flights {
  readonly #silent = new KeyTable<string, Flight>();
  readonly #telling = new KeyTable<string, Flight>();

  /** Whether a call of that key is under way. */
  has(key: string): boolean {
    return (this.#telling.get(key) ?? this.#silent.get(key)) !== undefined;
  }

  /**
   * The answer of the call of that key that is under way, else of the one that `start` sends. A call that
   * wants progress only shares one that tells it. `joined` is told where it shares another's.
   */
  share(key: string, call: Call, start: Start, joined?: (call: Call) => void): Promise<Result> {
    const { reason } = call.signal;
    if (reason !== undefined) return Promise.reject(reason);
    const wantsProgress = call.onProgress !== undefined;
    const telling = this.#telling.get(key);
    const flight = wantsProgress ? telling : (this.#silent.get(key) ?? telling);
    if (flight === undefined)
      return this.#start(wantsProgress ? this.#telling : this.#silent, key, call, start).wait(call);
    joined?.(call);
    return flight.join(call);
  }

  #start(flights: KeyTable<string, Flight>, key: string, call: Call, start: Start): Flight {
    const flight = new Flight(call, start, (ended) => flights.remove(key, ended));
    flights.add(key, flight);
    return flight;
  }
}
