import { matches } from "../catalog/glob.ts";
import type { CloudEvent } from "./cloud-event.ts";
import type { HistoryOptions } from "./events-options.ts";

/** One event that is kept. */
export interface Kept {
  /** Grows from each event to the next. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly type: string;
  readonly owner: string | undefined;
  readonly bytes: number;
  /** Made when it is asked for. */
  event(): CloudEvent;
}

/** Which events are asked for. */
export interface Query {
  /** "*" stands for any text. Default: all. */
  readonly type?: string | undefined;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** So many of the newest. */
  readonly limit: number;
  /** Whose they may be, besides those that concern all. */
  readonly principal: string;
}

/** Events in the order in which they happened. */
export interface Found {
  readonly events: readonly CloudEvent[];
  /** Whether there are older ones that would fit. */
  readonly more: boolean;
}

type Shelf = "calls" | "gateway" | "users";

/** The last events, so many of each kind that none pushes out the others. */
export class History {
  #maxAgeMs = 0;
  #shelves: Readonly<Record<Shelf, Ring>> = {
    calls: new Ring(0, 0),
    gateway: new Ring(0, 0),
    users: new Ring(0, 0),
  };

  /** Bounds it otherwise; what still fits stays. */
  bound({ maxEvents, maxBytes, maxAgeMs }: HistoryOptions): void {
    const { calls, gateway, users } = this.#shelves;
    this.#maxAgeMs = maxAgeMs;
    this.#shelves = {
      calls: calls.resized(maxEvents, Infinity),
      gateway: gateway.resized(maxEvents, Infinity),
      users: users.resized(maxEvents, maxBytes),
    };
  }

  keep(shelf: Shelf, kept: Kept): void {
    this.#shelves[shelf].add(kept);
  }

  find({ type, since, limit, principal }: Query): Found {
    const from = Math.max(since, Date.now() - this.#maxAgeMs);
    const fits = (kept: Kept): boolean =>
      kept.at >= from &&
      (kept.owner === undefined || kept.owner === principal) &&
      (type === undefined || matches(type, kept.type));
    const { calls, gateway, users } = this.#shelves;
    const all = [calls, gateway, users].flatMap((ring) => ring.all().filter(fits));
    const found = all.toSorted((a, b) => a.number - b.number);
    return {
      events: found.slice(Math.max(0, found.length - limit)).map((kept) => kept.event()),
      more: found.length > limit,
    };
  }
}

/** The newest of what is put in. */
class Ring {
  readonly #places: (Kept | undefined)[];
  readonly #size: number;
  readonly #maxBytes: number;
  #bytes = 0;
  /** How many were ever put in, and how many of those are gone: their places are these, round and round. */
  #in = 0;
  #out = 0;

  constructor(size: number, maxBytes: number) {
    this.#size = size;
    this.#maxBytes = maxBytes;
    this.#places = Array.from({ length: size });
  }

  add(kept: Kept): void {
    if (this.#size === 0) return;
    if (this.#in - this.#out === this.#size) this.#drop();
    this.#places[this.#in++ % this.#size] = kept;
    this.#bytes += kept.bytes;
    while (this.#bytes > this.#maxBytes) this.#drop();
  }

  /** Oldest first. */
  all(): Kept[] {
    return Array.from({ length: this.#in - this.#out }, (_, n) => this.#places[this.#place(n)]!);
  }

  resized(size: number, maxBytes: number): Ring {
    if (size === this.#size && maxBytes === this.#maxBytes) return this;
    const ring = new Ring(size, maxBytes);
    for (const kept of this.all()) ring.add(kept);
    return ring;
  }

  #drop(): void {
    const place = this.#place(0);
    this.#bytes -= this.#places[place]?.bytes ?? 0;
    this.#places[place] = undefined;
    this.#out++;
  }

  #place(nth: number): number {
    return (this.#out + nth) % this.#size;
  }
}
