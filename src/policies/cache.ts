import type { Call, JsonObject, Middleware, Result } from "../call.ts";
import { biasedTtl, biasEvery, nextBias, nextTtl } from "../adaptive-ttl.ts";
import { callKey, scopedKey, type ScopeOf } from "../canonical.ts";
import { Cancel } from "../cancel.ts";
import { effectOf } from "../effect.ts";
import type { Report } from "../events.ts";
import { Flights, type Start } from "../flights.ts";
import { isPersonal } from "../personal.ts";
import type { CacheEntry, CacheStore, MaybePromise } from "../stores/store.ts";
import { orCancelled } from "../wait.ts";
import type { CacheOptions } from "./cache-options.ts";
import type { OptionsOf } from "./options.ts";

/** What a cache needs to know of its upstream. */
export interface CacheSetup {
  readonly optionsOf: OptionsOf<CacheOptions>;
  readonly store: CacheStore;
  /** What was read in another epoch is out of date. */
  readonly epoch: () => number;
  readonly report: Report;
  /** Default: answers are shared by all. */
  readonly scopeOf?: ScopeOf;
  /** Milliseconds; those who share a store share this clock. */
  readonly wallClock?: () => number;
}

/** What a cache did so far. */
export interface CacheStats {
  readonly hits: number;
  readonly misses: number;
  /** Share of hits; 0 where nothing was looked up. */
  readonly hitRate: number;
  /** Factor of all times, by which the hit rate is steered. */
  readonly bias: number;
  /** How often the store failed; that never fails a call. */
  readonly storeErrors: number;
}

/** A cache's controls beside its place in the stack. */
export interface CacheControls {
  stats(): CacheStats;
}

/** A call, where it is looked up, and what was found there, whatever its age. */
interface Lookup {
  readonly call: Call;
  readonly key: string;
  readonly options: CacheOptions;
  readonly before: CacheEntry | undefined;
}

/** The state of a task is a read too, but changes by itself. */
const cacheable: ReadonlySet<string> = new Set([
  "tools/call",
  "resources/read",
  "prompts/get",
  "completion/complete",
]);

/**
 * Gives answers of calls that only read again while they are fresh. While they are stale they are given
 * too, and read anew in the background. Equal calls that find no answer share one upstream call.
 */
export function cache(setup: CacheSetup): Middleware & CacheControls {
  const { optionsOf, store, epoch, report, scopeOf, wallClock = Date.now } = setup;
  let hits = 0;
  let misses = 0;
  let storeErrors = 0;
  let bias = 1;
  let hitsAtLastBias = 0;

  const storeFailed = (): undefined => {
    storeErrors++;
  };

  /** What the store answers; undefined where it fails. */
  const ask = <Answer>(question: () => MaybePromise<Answer>): MaybePromise<Answer | undefined> => {
    try {
      const answer = question();
      return answer instanceof Promise ? answer.catch(storeFailed) : answer;
    } catch {
      return storeFailed();
    }
  };

  const steer = ({ hitRateTarget }: CacheOptions): void => {
    if ((hits + misses) % biasEvery !== 0) return;
    bias = nextBias(bias, (hits - hitsAtLastBias) / biasEvery, hitRateTarget);
    hitsAtLastBias = hits;
  };

  const entryOf = (lookup: Lookup, result: Result): CacheEntry => {
    const { call, options, before } = lookup;
    const uri = call.params["uri"];
    const ttlMs =
      before === undefined ? options.ttlMs : nextTtl(before.ttlMs, before.hits, options);
    const storedAt = wallClock();
    const freshUntil = storedAt + biasedTtl(ttlMs, bias, options);
    return {
      result,
      tool: call.tool?.name,
      upstream: call.upstream,
      uri: typeof uri === "string" ? uri : undefined,
      storedAt,
      freshUntil,
      staleUntil: freshUntil + options.staleMs,
      ttlMs,
      hits: 0,
      epoch: epoch(),
    };
  };

  /** Nobody joins a read that began before a write or an invalidation. */
  const flightKey = (key: string): string => `${epoch()} ${store.generation}\n${key}`;

  const hit = (
    { call, key, options }: Lookup,
    entry: CacheEntry,
    stale: boolean,
  ): Promise<Result> => {
    hits++;
    steer(options);
    report({ type: "cache.hit", call, stale });
    void ask(() => store.hit(key));
    const ageMs = Math.max(wallClock() - entry.storedAt, 0);
    return Promise.resolve(withNote(entry.result, { hit: true, ageMs, stale }));
  };

  const joined = (call: Call): void => report({ type: "call.coalesced", call });

  const middleware: Middleware = (next) => {
    const flights = new Flights();

    /** Reads at the upstream, and keeps the answer unless it was out of date before it came. */
    const read = (lookup: Lookup): Start => {
      const since = epoch();
      const { generation } = store;
      return (shared) =>
        next(shared).then((result) => {
          if (isKeepable(result) && epoch() === since && store.generation === generation)
            void ask(() => store.set(lookup.key, entryOf(lookup, result)));
          return result;
        });
    };

    const miss = (lookup: Lookup): Promise<Result> => {
      const { call, key, options } = lookup;
      misses++;
      steer(options);
      report({ type: "cache.missed", call });
      return flights.share(flightKey(key), call, read(lookup), joined);
    };

    /** Nobody waits for it, so nobody cancels it, and it takes what time the policies inside give it. */
    const refresh = (lookup: Lookup): void => {
      const call: Call = {
        ...lookup.call,
        signal: new Cancel(),
        deadline: { at: Infinity, max: Infinity },
        onProgress: undefined,
        onAlive: undefined,
      };
      flights.share(flightKey(lookup.key), call, read(lookup)).catch(() => {});
    };

    const answer = (lookup: Lookup): Promise<Result> => {
      const { before } = lookup;
      if (before === undefined || before.epoch !== epoch()) return miss(lookup);
      const time = wallClock();
      if (time < before.freshUntil) return hit(lookup, before, false);
      if (time >= before.staleUntil) return miss(lookup);
      refresh(lookup);
      return hit(lookup, before, true);
    };

    return (call) => {
      const options = optionsOf(call);
      if (options === false || !options.enabled || !isCacheable(call)) return next(call);
      const key = keyOf(call, scopeOf);
      if (key === undefined) return next(call);
      const found = ask(() => store.get(key));
      if (!(found instanceof Promise)) return answer({ call, key, options, before: found });
      return orCancelled(found, call.signal).then((before) =>
        answer({ call, key, options, before }),
      );
    };
  };

  return Object.assign(middleware, {
    stats: (): CacheStats => ({
      hits,
      misses,
      hitRate: hits / Math.max(hits + misses, 1),
      bias,
      storeErrors,
    }),
  });
}

/** Undefined where nothing is shared, or the arguments are nested too deep to be told from others. */
function keyOf(call: Call, scopeOf: ScopeOf | undefined): string | undefined {
  try {
    return scopedKey(call, callKey(call), scopeOf);
  } catch {
    return undefined;
  }
}

const isCacheable = (call: Call): boolean =>
  cacheable.has(call.method) && effectOf(call) === "read";

/** Neither a tool's no is worth keeping, nor a question to a client or what came of its answer. */
const isKeepable = (result: Result): boolean =>
  result["isError"] !== true &&
  (result["resultType"] ?? "complete") === "complete" &&
  !isPersonal(result);

const withNote = (result: Result, note: JsonObject): Result => ({
  ...result,
  _meta: { ...(result["_meta"] as JsonObject | undefined), "holdfast/cache": note },
});
