import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Call } from "../../src/call.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import type { GatewayEvent } from "../../src/events.ts";
import { latencyBounds, Metrics, type Figures } from "../../src/observe/metrics.ts";
import { call, ok, tool } from "../support/calls.ts";

const of = (name: string, upstream = "up"): Call =>
  call({ upstream, tool: tool({ name, upstream }) });
const timeout = new CallError("timeout", "late", { outcome: "unknown" });
const refused = new CallError("circuit_open", "open", { outcome: "failed", local: true });

const started = (request: Call): GatewayEvent => ({ type: "call.started", call: request });
const succeeded = (request: Call, ms = 10): GatewayEvent => ({
  type: "call.succeeded",
  call: request,
  result: ok(),
  ms,
});
const answered = (request: Call, ms = 10): GatewayEvent => ({
  type: "call.answered",
  call: request,
  result: { ...ok("no"), isError: true },
  ms,
});
const failed = (request: Call, error = timeout, ms = 10): GatewayEvent => ({
  type: "call.failed",
  call: request,
  error,
  ms,
});
const circuit = (to: "open" | "half-open" | "closed", name?: string): GatewayEvent => ({
  type: "circuit.changed",
  upstream: "up",
  from: "closed",
  to,
  reason: "5 failures in a row",
  ...(name !== undefined && { tool: name }),
});

function fed(...events: GatewayEvent[]): Metrics {
  const metrics = new Metrics();
  for (const event of events) metrics.take(event);
  return metrics;
}

/** The figures of an upstream and of its tool of that name. */
function figuresOf(metrics: Metrics, name: string, upstream = "up"): (Figures | undefined)[] {
  const found = metrics.snapshot().upstreams.find((one) => one.name === upstream);
  return [found, found?.tools.find((one) => one.name === name)];
}

it("what the cache gives tells nothing of how fast an upstream is", () => {
  const metrics = new Metrics();
  const kept = of("up__a");
  const asked = of("up__a");
  for (const event of [
    started(kept),
    { type: "cache.hit", call: kept, stale: false } as const,
    succeeded(kept, 0.1),
    started(asked),
    succeeded(asked, 100),
  ])
    metrics.take(event);
  expect(metrics.ofTool("up", "up__a")).toEqual({ meanMs: 100, successRate: 1 });
});

describe("Metrics", () => {
  it("counts each way in which a call can end, for the upstream and for the tool", () => {
    const a = of("up__a");
    const metrics = fed(
      ...[a, a, a, a, a, a].map(started),
      succeeded(a),
      answered(a),
      failed(a),
      failed(a, refused),
      failed(a, cancelled("enough")),
    );
    for (const figures of figuresOf(metrics, "up__a"))
      expect(figures).toMatchObject({
        calls: 6,
        inFlight: 1,
        successes: 1,
        toolErrors: 1,
        failures: 2,
        cancelled: 1,
        successRate: 0.25,
        latencyMs: { total: 30, mean: 10 },
      });
  });

  it("keeps upstreams and tools apart, and adds tools up to their upstream", () => {
    const metrics = fed(
      succeeded(of("up__a")),
      succeeded(of("up__b")),
      succeeded(of("other__a", "other")),
    );
    expect(figuresOf(metrics, "up__a")).toMatchObject([{ successes: 2 }, { successes: 1 }]);
    expect(figuresOf(metrics, "other__a", "other")).toMatchObject([
      { successes: 1 },
      { successes: 1 },
    ]);
  });

  it("counts requests that concern no tool for their upstream alone", () => {
    const request = call({ method: "resources/read", tool: undefined });
    const [upstream] = fed(started(request), succeeded(request)).snapshot().upstreams;
    expect(upstream).toMatchObject({ name: "up", calls: 1, successes: 1, tools: [] });
  });

  it("counts what happens on the way: retries, hedges, sharing, cache, waits, trips, cost", () => {
    const a = of("up__a");
    const metrics = fed(
      { type: "call.retried", call: a, attempt: 1, delayMs: 5, reason: "reset" },
      { type: "call.hedged", call: a },
      { type: "call.coalesced", call: a },
      { type: "cache.hit", call: a, stale: false },
      { type: "cache.hit", call: a, stale: true },
      { type: "cache.missed", call: a },
      { type: "call.waited", call: a, queue: "rateLimit", ms: 100 },
      { type: "call.waited", call: a, queue: "rateLimit", ms: 50 },
      { type: "call.waited", call: a, queue: "bulkhead", ms: 7 },
      circuit("open", "up__a"),
      circuit("half-open", "up__a"),
    );
    metrics.spent(a, 0.25);
    metrics.spent(a, 0.5);
    for (const figures of figuresOf(metrics, "up__a"))
      expect(figures).toMatchObject({
        retries: 1,
        hedged: 1,
        coalesced: 1,
        cacheHits: 2,
        cacheMisses: 1,
        circuitTrips: 1,
        costUsd: 0.75,
        waits: { rateLimit: { count: 2, ms: 150 }, bulkhead: { count: 1, ms: 7 } },
      });
  });

  it("puts a latency in the first bucket whose bound it does not exceed", () => {
    const a = of("up__a");
    const times = [0, 0.4, 1, 1.01, 2, 2.5, 4, 65_536, 65_536.1, 1e9];
    const [figures] = figuresOf(fed(...times.map((ms) => succeeded(a, ms))), "up__a");
    const expected = [3, 2, 2, ...latencyBounds.slice(3).map((bound) => +(bound === 65_536)), 2];
    expect(figures?.latencyMs.buckets).toEqual(expected);
  });

  it("estimates percentiles that are off by no more than their bucket", () => {
    const a = of("up__a");
    const times = Array.from({ length: 1000 }, (_, n) => succeeded(a, n + 1));
    const [figures] = figuresOf(fed(...times), "up__a");
    expect(figures?.latencyMs.mean).toBe(500.5);
    expect(figures?.latencyMs.p50).toBeCloseTo(500, -1);
    expect(figures?.latencyMs.p95).toBeGreaterThan(900);
    expect(figures?.latencyMs.p99).toBeLessThanOrEqual(1024);
  });

  it("has no rate, mean or percentile of nothing, and is plain JSON", () => {
    const metrics = fed(started(of("up__a")));
    const [figures] = figuresOf(metrics, "up__a");
    expect(figures).toMatchObject({
      successRate: null,
      latencyMs: { mean: null, p50: null, p95: null, p99: null },
    });
    const snapshot = metrics.snapshot();
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
    expect(snapshot.memory.rssBytes).toBeGreaterThan(snapshot.memory.heapUsedBytes);
  });

  it("knows how a tool did lately, and nothing of one that was not called", () => {
    const a = of("up__a");
    const metrics = fed(
      succeeded(a, 10),
      succeeded(a, 20),
      failed(a, timeout, 60),
      failed(a, refused),
    );
    expect(metrics.ofTool("up", "up__a")).toEqual({ meanMs: 30, successRate: 0.5 });
    const nothing = { meanMs: undefined, successRate: undefined };
    expect(metrics.ofTool("up", "up__b")).toEqual(nothing);
    expect(metrics.ofTool("other", "up__a")).toEqual(nothing);
  });

  it("drops the tool that was called longest ago when there are too many", () => {
    const metrics = fed(
      started(of("kept")),
      ...Array.from({ length: 1999 }, (_, n) => started(of(`tool-${n}`))),
      started(of("kept")),
      started(of("one more")),
    );
    const names = metrics.snapshot().upstreams[0]?.tools.map(({ name }) => name);
    expect(names).toHaveLength(2000);
    expect(names).toContain("kept");
    expect(names).not.toContain("tool-0");
  });

  it("drops what concerns an upstream that is forgotten", () => {
    const metrics = fed(started(of("up__a")), started(of("b", "other")), circuit("open"));
    metrics.forget("up");
    expect(metrics.snapshot().upstreams).toMatchObject([{ name: "other" }]);
    expect(metrics.alerts()).toEqual([]);
  });
});

describe("alerts", () => {
  beforeEach(() => vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12) }));
  afterEach(() => vi.useRealTimers());

  const times = (count: number, event: GatewayEvent): GatewayEvent[] =>
    Array.from({ length: count }, () => event);

  it("are none while all is well", () => {
    expect(fed(...times(50, succeeded(of("up__a")))).alerts()).toEqual([]);
  });

  it("tell a low success rate from 20 calls on, cancelled ones aside", () => {
    const a = of("up__a");
    const metrics = fed(
      ...times(17, succeeded(a)),
      ...times(10, failed(a, cancelled("enough"))),
      ...times(2, failed(a)),
    );
    expect(metrics.alerts()).toEqual([]);
    metrics.take(answered(a));
    expect(metrics.alerts()).toEqual([
      "up: 17 of the last 20 calls succeeded, fewer than 95 %",
      "up__a: 17 of the last 20 calls succeeded, fewer than 95 %",
    ]);
  });

  it("look at the last calls, not at all there ever were", () => {
    const a = of("up__a");
    const metrics = fed(...times(10_000, succeeded(a)), ...times(50, failed(a)));
    expect(metrics.alerts()[0]).toContain("succeeded, fewer than 95 %");
    for (const event of times(200, succeeded(a))) metrics.take(event);
    expect(metrics.alerts()).toEqual([]);
  });

  it("tell a long mean latency", () => {
    const metrics = fed(succeeded(of("up__a"), 4000), succeeded(of("up__a"), 6001));
    expect(metrics.alerts()).toEqual([
      "up: the last 2 calls took 5001 ms on average, more than 5000 ms",
      "up__a: the last 2 calls took 5001 ms on average, more than 5000 ms",
    ]);
  });

  it("tell an open circuit at once, and for as long as it is open", () => {
    const metrics = fed(circuit("open"), circuit("open", "up__a"));
    expect(metrics.alerts()).toEqual([
      "up: the circuit is open: 5 failures in a row",
      "up: the circuit of up__a is open: 5 failures in a row",
    ]);
    metrics.take(circuit("half-open"));
    metrics.take(circuit("closed", "up__a"));
    expect(metrics.alerts()).toEqual([]);
  });

  it("tell the latest of each budget, until the day is over", () => {
    const spent = (budget: "day" | "session", spentUsd: number): GatewayEvent => ({
      type: "budget.alert",
      account: "all",
      budget,
      spentUsd,
      limitUsd: 10,
    });
    const metrics = fed(spent("day", 8), spent("session", 8.5), spent("day", 9));
    expect(metrics.alerts()).toEqual([
      "the budget per day (all): 9 of 10 USD are spent",
      "the budget per session (all): 8.5 of 10 USD are spent",
    ]);
    vi.setSystemTime(Date.UTC(2026, 0, 2));
    expect(metrics.alerts()).toEqual([]);
  });
});
