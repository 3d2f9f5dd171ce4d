import type { Result } from "../call.ts";

/** Now, or later. */
export type MaybePromise<Value> = Value | Promise<Value>;

/** An answer that is kept. Times are milliseconds of the wall clock, since processes may share a store. */
export interface CacheEntry {
  /** Nobody changes it. */
  readonly result: Result;
  /** The exposed name of its tool. */
  readonly tool?: string | undefined;
  readonly upstream: string;
  /** The resource that was read. */
  readonly uri?: string | undefined;
  readonly storedAt: number;
  readonly freshUntil: number;
  readonly staleUntil: number;
  /** The time of its key, before it was biased toward the target hit rate. */
  readonly ttlMs: number;
  /** How often it was given since it was stored. */
  readonly hits: number;
  /** The epoch of its upstream in which it was read. */
  readonly epoch: number;
}

/** Which entries go. `tools` are globs over exposed names. */
export type Invalidation =
  | { readonly key: string }
  | { readonly upstream: string }
  | { readonly tools: readonly string[] }
  | { readonly upstream: string; readonly uri: string }
  | "all";

/** What a store holds. */
export interface StoreStats {
  readonly entries: number;
  readonly bytes: number;
}

/** Keeps answers. A method may throw or reject; calls wait for `get`, so a store limits its own time. */
export interface CacheStore {
  /** Differs after each invalidation: an answer that was read in an older generation is not to be stored. */
  readonly generation: number;
  /** Also an entry whose time is over, as long as it is there. */
  get(key: string): MaybePromise<CacheEntry | undefined>;
  /** Puts it in place of what was there. An entry that is too large is not kept. */
  set(key: string, entry: CacheEntry): MaybePromise<void>;
  /** Counts a hit of an entry, where it is there. */
  hit(key: string): MaybePromise<void>;
  /** Removes entries, and answers how many. */
  invalidate(what: Invalidation): MaybePromise<number>;
  stats(): MaybePromise<StoreStats>;
}
