import { LRUCache } from "lru-cache";
import { matchesAny } from "../catalog/glob.ts";
import type { CacheEntry, CacheStore, Invalidation, StoreStats } from "./store.ts";

/** How much a MemoryStore keeps. */
export interface MemoryLimits {
  readonly maxEntries: number;
  /** Of the entries' results as JSON, and their keys. */
  readonly maxBytes: number;
}

interface Kept extends CacheEntry {
  hits: number;
}

/** Keeps answers in this process; the one longest unused goes first. */
export class MemoryStore implements CacheStore {
  readonly #entries: LRUCache<string, Kept>;
  #generation = 0;

  constructor({ maxEntries, maxBytes }: MemoryLimits) {
    this.#entries = new LRUCache({ max: maxEntries, maxSize: maxBytes });
  }

  get generation(): number {
    return this.#generation;
  }

  get(key: string): CacheEntry | undefined {
    return this.#entries.get(key);
  }

  set(key: string, entry: CacheEntry): void {
    const size = Buffer.byteLength(key) + Buffer.byteLength(JSON.stringify(entry.result));
    // A copy has no text of its own, which would take as much again and is of no use to a result with a note.
    const kept = { ...entry, result: { ...entry.result } };
    this.#entries.set(key, kept, { size });
  }

  hit(key: string): void {
    const entry = this.#entries.peek(key);
    if (entry !== undefined) entry.hits++;
  }

  invalidate(what: Invalidation): number {
    this.#generation++;
    const before = this.#entries.size;
    if (what === "all") this.#entries.clear();
    else if ("key" in what) this.#entries.delete(what.key);
    else this.#removeWhere(testOf(what));
    return before - this.#entries.size;
  }

  stats(): StoreStats {
    return { entries: this.#entries.size, bytes: this.#entries.calculatedSize };
  }

  #removeWhere(test: (entry: CacheEntry) => boolean): void {
    const gone = [...this.#entries.entries()].filter(([, entry]) => test(entry));
    for (const [key] of gone) this.#entries.delete(key);
  }
}

function testOf(
  what: Exclude<Invalidation, "all" | { readonly key: string }>,
): (entry: CacheEntry) => boolean {
  if ("tools" in what) return ({ tool }) => tool !== undefined && matchesAny(what.tools, tool);
  const { upstream } = what;
  if ("uri" in what) return (entry) => entry.upstream === upstream && entry.uri === what.uri;
  return (entry) => entry.upstream === upstream;
}
