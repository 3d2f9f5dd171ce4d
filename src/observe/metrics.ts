import type { Call, Deadline } from "../call.ts";
import type { GatewayEvent } from "../events.ts";

/** Upper bounds of the latency histogram's buckets, in milliseconds: each twice the last, and one bucket beyond. */
export const latencyBounds: readonly number[] = Array.from({ length: 17 }, (_, n) => 2 ** n);

/** Upstreams, and tools of each, that are told apart. At one more, the one that was called longest ago is dropped. */
const mostUpstreams = 1000;
const mostTools = 2000;

/** When something is worth an alert. */
const leastSuccessRate = 0.95;
const leastCalls = 20;
const mostMeanMs = 5000;
/** Alerts look at the last calls only: at least so many, and at most twice that. */
const recentCalls = 100;

type Queue = Extract<GatewayEvent, { type: "call.waited" }>["queue"];
type CircuitChanged = Extract<GatewayEvent, { type: "circuit.changed" }>;
type BudgetAlert = Extract<GatewayEvent, { type: "budget.alert" }>;

/** What is counted, of an upstream or of a tool. Times are milliseconds. */
export interface Figures {
  readonly name: string;
  readonly calls: number;
  readonly inFlight: number;
  readonly successes: number;
  /** The tool itself said no. */
  readonly toolErrors: number;
  readonly failures: number;
  readonly cancelled: number;
  /** Share of the calls that ended, less those that were cancelled; null where there is none. */
  readonly successRate: number | null;
  readonly retries: number;
  readonly hedged: number;
  readonly coalesced: number;
  readonly cacheHits: number;
  readonly cacheMisses: number;
  readonly circuitTrips: number;
  readonly costUsd: number;
  readonly waits: Readonly<Record<Queue, { readonly count: number; readonly ms: number }>>;
  /** Of the calls that were neither cancelled nor refused by ourselves. Percentiles are estimated from `buckets`. */
  readonly latencyMs: {
    readonly total: number;
    readonly mean: number | null;
    readonly p50: number | null;
    readonly p95: number | null;
    readonly p99: number | null;
    /** Calls by `latencyBounds`, and those beyond. */
    readonly buckets: readonly number[];
  };
}

export interface UpstreamFigures extends Figures {
  readonly tools: readonly Figures[];
}

export interface MetricsSnapshot {
  readonly memory: { readonly rssBytes: number; readonly heapUsedBytes: number };
  readonly upstreams: readonly UpstreamFigures[];
}

/** How the last calls went. */
export interface Lately {
  /** Undefined where none has been timed. */
  readonly meanMs: number | undefined;
  /** Undefined where none has ended but by a cancel. */
  readonly successRate: number | undefined;
}

/** Sums over a number of calls. */
interface Sums {
  ended: number;
  successes: number;
  timed: number;
  ms: number;
}

const noSums = (): Sums => ({ ended: 0, successes: 0, timed: 0, ms: 0 });

class Counts {
  /** Grows with each call of anything, so that it tells which was called longest ago. */
  lastCall = 0;
  calls = 0;
  successes = 0;
  toolErrors = 0;
  failures = 0;
  cancelled = 0;
  retries = 0;
  hedged = 0;
  coalesced = 0;
  cacheHits = 0;
  cacheMisses = 0;
  circuitTrips = 0;
  costUsd = 0;
  ms = 0;
  readonly waits = { rateLimit: { count: 0, ms: 0 }, bulkhead: { count: 0, ms: 0 } };
  readonly buckets = new Uint32Array(latencyBounds.length + 1);
  recent = noSums();
  before = noSums();

  end(success: boolean): void {
    if (this.recent.ended === recentCalls) {
      this.before = this.recent;
      this.recent = noSums();
    }
    this.recent.ended++;
    if (success) this.recent.successes++;
  }

  time(ms: number): void {
    this.ms += ms;
    this.recent.ms += ms;
    this.recent.timed++;
    const bucket = ms <= 1 ? 0 : 32 - Math.clz32(Math.ceil(ms) - 1);
    this.buckets[Math.min(bucket, latencyBounds.length)]!++;
  }
}

class UpstreamCounts extends Counts {
  readonly tools = new Map<string, Counts>();
}

/** Counts what the gateway does, by upstream and by tool. */
export class Metrics {
  readonly #upstreams = new Map<string, UpstreamCounts>();
  readonly #circuits = new Map<string, CircuitChanged>();
  readonly #budgets = new Map<string, { readonly alert: BudgetAlert; readonly day: number }>();
  /** Calls that the cache has answered and that have not ended, by what all copies of a call share. */
  readonly #fromCache = new WeakSet<Deadline>();
  #calls = 0;

  readonly take = (event: GatewayEvent): void => {
    switch (event.type) {
      case "call.started": {
        const upstream = this.#upstream(event.call.upstream);
        upstream.calls++;
        upstream.lastCall = ++this.#calls;
        const tool = toolOf(upstream, event.call);
        if (tool === undefined) return;
        tool.calls++;
        tool.lastCall = this.#calls;
        return;
      }
      case "call.succeeded":
        // What the cache gave tells nothing of how fast the upstream is.
        if (this.#fromCache.delete(event.call.deadline))
          return this.#each(event.call, succeedFromCache, 0);
        return this.#each(event.call, succeed, event.ms);
      case "call.answered":
        return this.#each(event.call, answer, event.ms);
      case "call.failed":
        if (event.error.code === "cancelled") return this.#each(event.call, cancel, 0);
        if (event.error.local) return this.#each(event.call, refuse, 0);
        return this.#each(event.call, fail, event.ms);
      case "call.retried":
        return this.#each(event.call, retry, 0);
      case "call.hedged":
        return this.#each(event.call, hedge, 0);
      case "call.coalesced":
        return this.#each(event.call, coalesce, 0);
      case "cache.hit":
        this.#fromCache.add(event.call.deadline);
        return this.#each(event.call, hit, 0);
      case "cache.missed":
        return this.#each(event.call, miss, 0);
      case "call.waited":
        return this.#each(event.call, waited[event.queue], event.ms);
      case "circuit.changed":
        return this.#circuitChanged(event);
      case "budget.alert":
        this.#budgets.set(`${event.budget} ${event.account}`, { alert: event, day: today() });
    }
  };

  /** Counts what a call cost. */
  spent(call: Call, usd: number): void {
    this.#each(call, spend, usd);
  }

  /** Drops what concerns an upstream that config has no more. */
  forget(upstream: string): void {
    this.#upstreams.delete(upstream);
    this.forgetCircuits(upstream);
  }

  /** Drops the circuits of an upstream, which has got others. */
  forgetCircuits(upstream: string): void {
    for (const [key, circuit] of this.#circuits)
      if (circuit.upstream === upstream) this.#circuits.delete(key);
  }

  /** Everything that was counted since the start. */
  snapshot(): MetricsSnapshot {
    const { rss, heapUsed } = process.memoryUsage();
    return {
      memory: { rssBytes: rss, heapUsedBytes: heapUsed },
      upstreams: [...this.#upstreams].map(([name, upstream]) => ({
        ...figures(name, upstream),
        tools: [...upstream.tools].map(([tool, counts]) => figures(tool, counts)),
      })),
    };
  }

  /** How a tool did lately. */
  ofTool(upstream: string, tool: string): Lately {
    const counts = this.#upstreams.get(upstream)?.tools.get(tool);
    const { ended, successes, timed, ms } = counts === undefined ? noSums() : lastCalls(counts);
    return {
      meanMs: timed === 0 ? undefined : ms / timed,
      successRate: ended === 0 ? undefined : successes / ended,
    };
  }

  /** What a person should know now, in words. */
  alerts(): string[] {
    return [
      ...[...this.#circuits.values()].map(circuitAlert),
      ...[...this.#upstreams].flatMap(([name, upstream]) => [
        ...recentAlerts(name, upstream),
        ...[...upstream.tools].flatMap(([tool, counts]) => recentAlerts(tool, counts)),
      ]),
      ...[...this.#budgets.values()].flatMap(({ alert, day }) =>
        day === today() ? budgetText(alert) : [],
      ),
    ];
  }

  #each(call: Call, count: (counts: Counts, amount: number) => void, amount: number): void {
    const upstream = this.#upstream(call.upstream);
    count(upstream, amount);
    const tool = toolOf(upstream, call);
    if (tool !== undefined) count(tool, amount);
  }

  #upstream(name: string): UpstreamCounts {
    return entryOf(this.#upstreams, name, mostUpstreams, UpstreamCounts);
  }

  #circuitChanged(event: CircuitChanged): void {
    const key = JSON.stringify([event.upstream, event.tool]);
    this.#circuits.delete(key);
    if (event.to !== "open") return;
    this.#circuits.set(key, event);
    const upstream = this.#upstream(event.upstream);
    upstream.circuitTrips++;
    if (event.tool !== undefined)
      entryOf(upstream.tools, event.tool, mostTools, Counts).circuitTrips++;
  }
}

const toolOf = (upstream: UpstreamCounts, { tool }: Call): Counts | undefined =>
  tool && entryOf(upstream.tools, tool.name, mostTools, Counts);

/** The entry of that name; a new one takes the place of the one that was called longest ago when all are taken. */
function entryOf<Entry extends Counts>(
  entries: Map<string, Entry>,
  name: string,
  most: number,
  Make: new () => Entry,
): Entry {
  const found = entries.get(name);
  if (found !== undefined) return found;
  if (entries.size >= most) {
    let oldest: readonly [string, Entry] | undefined;
    for (const entry of entries)
      if (oldest === undefined || entry[1].lastCall < oldest[1].lastCall) oldest = entry;
    if (oldest !== undefined) entries.delete(oldest[0]);
  }
  const made = new Make();
  entries.set(name, made);
  return made;
}

const succeed = (counts: Counts, ms: number): void => {
  counts.successes++;
  counts.end(true);
  counts.time(ms);
};
const succeedFromCache = (counts: Counts): void => {
  counts.successes++;
  counts.end(true);
};
const answer = (counts: Counts, ms: number): void => {
  counts.toolErrors++;
  counts.end(false);
  counts.time(ms);
};
const fail = (counts: Counts, ms: number): void => {
  counts.failures++;
  counts.end(false);
  counts.time(ms);
};
const refuse = (counts: Counts): void => {
  counts.failures++;
  counts.end(false);
};
const cancel = (counts: Counts): void => void counts.cancelled++;
const retry = (counts: Counts): void => void counts.retries++;
const hedge = (counts: Counts): void => void counts.hedged++;
const coalesce = (counts: Counts): void => void counts.coalesced++;
const hit = (counts: Counts): void => void counts.cacheHits++;
const miss = (counts: Counts): void => void counts.cacheMisses++;
const spend = (counts: Counts, usd: number): void => void (counts.costUsd += usd);
const waited = {
  rateLimit: ({ waits }: Counts, ms: number): void => {
    waits.rateLimit.count++;
    waits.rateLimit.ms += ms;
  },
  bulkhead: ({ waits }: Counts, ms: number): void => {
    waits.bulkhead.count++;
    waits.bulkhead.ms += ms;
  },
};

function figures(name: string, counts: Counts): Figures {
  const { calls, successes, toolErrors, failures, cancelled, buckets, ms, waits } = counts;
  const ended = successes + toolErrors + failures;
  const timed = buckets.reduce((sum, count) => sum + count, 0);
  return {
    name,
    calls,
    inFlight: Math.max(calls - ended - cancelled, 0),
    successes,
    toolErrors,
    failures,
    cancelled,
    successRate: ended === 0 ? null : successes / ended,
    retries: counts.retries,
    hedged: counts.hedged,
    coalesced: counts.coalesced,
    cacheHits: counts.cacheHits,
    cacheMisses: counts.cacheMisses,
    circuitTrips: counts.circuitTrips,
    costUsd: counts.costUsd,
    waits: { rateLimit: { ...waits.rateLimit }, bulkhead: { ...waits.bulkhead } },
    latencyMs: {
      total: ms,
      mean: timed === 0 ? null : ms / timed,
      p50: percentile(buckets, timed, 0.5),
      p95: percentile(buckets, timed, 0.95),
      p99: percentile(buckets, timed, 0.99),
      buckets: [...buckets],
    },
  };
}

/** Where in its bucket the call of that rank would be if the bucket's calls were evenly spread. */
function percentile(buckets: Uint32Array, timed: number, share: number): number | null {
  let left = timed * share;
  for (const [n, count] of buckets.entries()) {
    if (count > 0 && left <= count) {
      const from = latencyBounds[n - 1] ?? 0;
      const to = latencyBounds[n] ?? from;
      return from + (to - from) * (left / count);
    }
    left -= count;
  }
  return null;
}

const lastCalls = ({ recent, before }: Counts): Sums => ({
  ended: recent.ended + before.ended,
  successes: recent.successes + before.successes,
  timed: recent.timed + before.timed,
  ms: recent.ms + before.ms,
});

function recentAlerts(name: string, counts: Counts): string[] {
  const { ended, successes, timed, ms } = lastCalls(counts);
  const mean = ms / timed;
  const alerts: string[] = [];
  if (ended >= leastCalls && successes / ended < leastSuccessRate)
    alerts.push(
      `${name}: ${successes} of the last ${ended} calls succeeded, fewer than ${leastSuccessRate * 100} %`,
    );
  if (mean > mostMeanMs)
    alerts.push(
      `${name}: the last ${timed} calls took ${Math.round(mean)} ms on average, more than ${mostMeanMs} ms`,
    );
  return alerts;
}

const circuitAlert = ({ upstream, tool, reason }: CircuitChanged): string =>
  `${upstream}: the circuit${tool === undefined ? "" : ` of ${tool}`} is open: ${reason}`;

const budgetText = ({ budget, account, spentUsd, limitUsd }: BudgetAlert): string =>
  `the budget per ${budget} (${account}): ${spentUsd} of ${limitUsd} USD are spent`;

const today = (): number => Math.floor(Date.now() / 86_400_000);
