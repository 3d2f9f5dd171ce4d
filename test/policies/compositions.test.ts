import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BudgetLedger } from "../../src/budget-ledger.ts";
import type { Call, Handle, Result } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import { groupTool } from "../../src/groups/group-tool.ts";
import { group } from "../../src/groups/group-options.ts";
import { MemoryStore } from "../../src/stores/memory.ts";
import { call, ok, scripted, tool, untilCancelled } from "../support/calls.ts";
import { wholeStack } from "../support/stacks.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const lost = (): CallError => new CallError("connection_lost", "gone", { outcome: "unknown" });
const fails: Handle = () => Promise.reject(lost());
const write = { tool: tool({ effect: "write" }) };
const other = (n: number): Partial<Call> => ({ params: { name: "do", arguments: { n } } });
/** Answers each call after so many milliseconds, unless it is cancelled first. */
const after =
  (ms: number, result: Result = ok()): Handle =>
  ({ signal }) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve(result), ms);
      signal.subscribe((reason) => {
        clearTimeout(timer);
        reject(reason);
      });
    });

describe("retry × circuit breaker", () => {
  it("counts each attempt, and does not retry into a circuit that has opened", async () => {
    const { ask, executed } = wholeStack(fails, {
      retry: { maxAttempts: 10, jitter: "none" },
      circuitBreaker: { consecutiveFailures: 3 },
    });
    const answer = ask();
    await pass(10_000);
    expect(await answer).toMatchObject({ code: "circuit_open", attempts: 4, outcome: "failed" });
    expect(executed).toHaveLength(3);
  });

  it("leaves unknown what an attempt may have done before the circuit opened", async () => {
    const { ask, executed } = wholeStack(fails, {
      retry: { maxAttempts: 10, jitter: "none" },
      circuitBreaker: { consecutiveFailures: 2 },
    });
    const answer = ask({ tool: tool({ effect: "idempotent" }) });
    await pass(10_000);
    expect(await answer).toMatchObject({ code: "circuit_open", outcome: "unknown", attempts: 3 });
    expect(executed).toHaveLength(2);
  });

  it("does not open the circuit for what retry has not sent", async () => {
    const { ask, executed, parts } = wholeStack(fails, {
      circuitBreaker: { consecutiveFailures: 2 },
    });
    expect(await ask(write)).toMatchObject({ outcome: "unknown", attempts: 1 });
    expect(executed).toHaveLength(1);
    expect(parts.status().circuits).toEqual([{ state: "closed" }]);
  });
});

describe("retry × progress", () => {
  it("never tells a caller less than before, whichever attempt it comes from", async () => {
    const turns = [
      [10, 50],
      [1, 2, 60],
    ];
    const { ask } = wholeStack(async (received) => {
      const turn = turns.shift() ?? [];
      await after(1)(received);
      for (const progress of turn) received.onProgress?.({ progress });
      return turns.length > 0 ? fails(received) : ok();
    });
    const notes: number[] = [];
    const answer = ask({ onProgress: ({ progress }) => notes.push(progress) });
    await pass(10_000);
    expect(await answer).toEqual(ok());
    expect(notes).toEqual([10, 50, 60]);
  });
});

describe("retry × rate limit", () => {
  it("takes a token for each attempt", async () => {
    const { handle } = scripted(lost(), lost(), ok());
    const { ask, executed } = wholeStack(handle, {
      retry: { jitter: "none", initialDelayMs: 1 },
      rateLimit: { requestsPerSecond: 1, burst: 1 },
    });
    const answer = ask();
    await pass(1500);
    expect(executed).toHaveLength(2);
    await pass(1000);
    expect(await answer).toEqual(ok());
    expect(executed).toHaveLength(3);
  });

  it("does not retry what the limit itself has refused, and counts it for no failure", async () => {
    const { ask, executed, parts } = wholeStack(after(0), {
      rateLimit: { requestsPerSecond: 1, burst: 1, maxWaitMs: 0 },
      circuitBreaker: { consecutiveFailures: 1 },
      coalesce: false,
    });
    const first = ask(other(1));
    expect(await ask(other(2))).toMatchObject({ code: "rate_limited", attempts: 1 });
    await pass(0);
    expect(await first).toEqual(ok());
    expect(executed).toHaveLength(1);
    expect(parts.status().circuits).toEqual([{ state: "closed" }]);
  });

  it("leaves an upstream alone for as long as its 429 asks, and sends again then", async () => {
    const asked = new CallError("rate_limited", "429", {
      outcome: "failed",
      status: 429,
      retryAfterMs: 5000,
    });
    const { handle } = scripted(asked, ok());
    const { ask, executed } = wholeStack(handle, {});
    const answer = ask(write);
    await pass(4990);
    expect(executed).toHaveLength(1);
    await pass(20);
    expect(await answer).toEqual(ok());
    expect(executed).toHaveLength(2);
  });
});

describe("cache × open circuit", () => {
  it("gives what is cached though the circuit is open", async () => {
    const { handle } = scripted(ok("kept"), lost(), lost());
    const { ask, executed } = wholeStack(handle, {
      cache: { enabled: true },
      retry: false,
      circuitBreaker: { consecutiveFailures: 2 },
    });
    expect(await ask(other(1))).toEqual(ok("kept"));
    await ask(other(2));
    await ask(other(3));
    expect(await ask(other(4))).toMatchObject({ code: "circuit_open" });
    expect(await ask(other(1))).toMatchObject({
      ...ok("kept"),
      _meta: { "holdfast/cache": { hit: true } },
    });
    expect(executed).toHaveLength(3);
  });

  it("gives what is stale where the circuit refuses to read it anew", async () => {
    const { handle } = scripted(ok("kept"), lost());
    const { ask } = wholeStack(handle, {
      cache: { enabled: true, ttlMs: 1000, staleMs: 60_000 },
      retry: false,
      circuitBreaker: { consecutiveFailures: 1 },
    });
    await ask(other(1));
    await ask(other(2));
    await pass(2000);
    expect(await ask(other(1))).toMatchObject({ _meta: { "holdfast/cache": { stale: true } } });
  });
});

describe("cache × coalesce", () => {
  it("lets nobody join a read that began before an invalidation, and keeps no answer of it", async () => {
    const answers: ((result: Result) => void)[] = [];
    const store = new MemoryStore({ maxEntries: 10, maxBytes: 100_000 });
    const { ask, executed } = wholeStack(
      () => new Promise((resolve) => answers.push(resolve)),
      { cache: { enabled: true } },
      { store },
    );
    const before = ask();
    void store.invalidate("all");
    const behind = ask();
    expect(executed).toHaveLength(2);
    answers[0]?.(ok("old"));
    answers[1]?.(ok("new"));
    expect(await before).toEqual(ok("old"));
    expect(await behind).toEqual(ok("new"));
    expect(await ask()).toMatchObject(ok("new"));
  });

  it("answers a call whose arguments are nested too deep for a key, without keeping it", async () => {
    let deep: unknown = 0;
    for (let n = 0; n < 20_000; n++) deep = [deep];
    const { ask } = wholeStack(() => Promise.resolve(ok()), {
      cache: { enabled: true },
      coalesce: false,
    });
    expect(await ask({ params: { name: "do", arguments: { deep } } })).toEqual(ok());
  });
});

describe("coalesce × cancel", () => {
  it("lets who cancels go, and cancels the upstream's call with the last", async () => {
    const { ask, executed } = wholeStack(untilCancelled, {});
    const signals = [new Cancel(), new Cancel()];
    const answers = signals.map((signal) => ask({ signal }));
    expect(executed).toHaveLength(1);
    signals[0]?.cancel(cancelled("first"));
    expect(await answers[0]).toMatchObject({ code: "cancelled", message: "first" });
    expect(executed[0]?.signal.reason).toBeUndefined();
    signals[1]?.cancel(cancelled("second"));
    expect(await answers[1]).toMatchObject({ message: "second" });
    expect(executed[0]?.signal.reason).toBeDefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("gives all who wait what the retries of the one call come to", async () => {
    const { handle } = scripted(lost(), ok("second"));
    const { ask, executed } = wholeStack(handle, {});
    const answers = [ask(), ask(), ask()];
    await pass(1000);
    expect(await Promise.all(answers)).toEqual([ok("second"), ok("second"), ok("second")]);
    expect(executed).toHaveLength(2);
  });
});

describe("circuit breaker × bulkhead", () => {
  const slow = { circuitBreaker: { slowCallMs: 200, minimumCalls: 5 }, coalesce: false } as const;

  it("does not count a wait for a place as the upstream's slowness", async () => {
    const { ask, parts } = wholeStack(after(50), { ...slow, bulkhead: { maxConcurrent: 1 } });
    const answers = Array.from({ length: 20 }, () => ask());
    await pass(1000);
    expect(await Promise.all(answers)).toEqual(answers.map(() => ok()));
    expect(parts.status().circuits).toEqual([{ state: "closed" }]);
  });

  it("counts the time from when each attempt is sent", async () => {
    const { ask, executed, parts } = wholeStack(after(250), {
      ...slow,
      bulkhead: { maxConcurrent: 1 },
    });
    const answers = Array.from({ length: 20 }, () => ask());
    await pass(1200);
    expect(executed).toHaveLength(5);
    await pass(100);
    expect(parts.status().circuits).toMatchObject([{ state: "open" }]);
    await pass(10_000);
    expect(await Promise.all(answers)).toEqual(answers.map(() => ok()));
  });
});

describe("hedge × bulkhead", () => {
  it("takes a place for each, and gives the loser's free when it is cancelled", async () => {
    let turn = 0;
    const { ask, executed, parts } = wholeStack(
      (received) => after(turn++ === 0 ? 10_000 : 50)(received),
      { hedge: { enabled: true, afterMs: 100 }, bulkhead: { maxConcurrent: 2 } },
    );
    const answer = ask();
    await pass(120);
    expect(parts.status().active).toBe(2);
    await pass(50);
    expect(await answer).toEqual(ok());
    expect(executed).toHaveLength(2);
    expect(parts.status()).toMatchObject({ active: 0, waiting: { bulkhead: 0 } });
  });

  it("cancels a hedge that waits for a place, or gets it just as the first has its answer", async () => {
    const { ask, executed, parts } = wholeStack(after(300), {
      hedge: { enabled: true, afterMs: 100 },
      bulkhead: { maxConcurrent: 1 },
    });
    const answer = ask();
    await pass(150);
    expect(parts.status()).toMatchObject({ active: 1, waiting: { bulkhead: 1 } });
    await pass(200);
    expect(await answer).toEqual(ok());
    for (const second of executed.slice(1)) expect(second.signal.reason).toBeDefined();
    expect(parts.status()).toMatchObject({ active: 0, waiting: { bulkhead: 0 } });
  });
});

describe("hedge × budget", () => {
  it("sends no more of one call than its budget allows", async () => {
    const options = { perCallUsd: 2, perDayUsd: 0, perSessionUsd: 0, alertRatio: 0.8 };
    const { ask, executed } = wholeStack(
      after(300),
      { hedge: { enabled: true, afterMs: 10, maxExtra: 3 }, coalesce: false },
      { costOf: () => 1, budgetsOf: () => [{ account: "all", options }] },
    );
    const answers = [ask(), ask()];
    await pass(400);
    expect(await Promise.all(answers)).toEqual([ok(), ok()]);
    expect(executed).toHaveLength(4);
  });
});

describe("timeout × progress", () => {
  it("gives an attempt that shows progress more time, up to maxTotalMs, and each retry its own", async () => {
    const busy: Handle = (received) => {
      const timer = setInterval(() => received.onAlive?.(), 500);
      received.signal.subscribe(() => clearInterval(timer));
      return untilCancelled(received);
    };
    const { ask, executed } = wholeStack(busy, {
      timeout: { attemptMs: 1000, totalMs: 2000, maxTotalMs: 5000 },
    });
    const answer = ask(write);
    await pass(4900);
    expect(executed[0]?.signal.reason).toBeUndefined();
    await pass(200);
    expect(await answer).toMatchObject({ code: "timeout", outcome: "unknown", attempts: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("retries an attempt that times out within the total time alone", async () => {
    const { ask, executed } = wholeStack(untilCancelled, {
      timeout: { attemptMs: 1000, totalMs: 1500 },
      retry: { maxAttempts: 5, jitter: "none" },
    });
    const answer = ask();
    await pass(3000);
    expect(await answer).toMatchObject({ code: "timeout", attempts: 2 });
    expect(executed).toHaveLength(2);
  });
});

describe("fallback × budget", () => {
  it("asks the next provider where there is no money for the first, and books nothing for that", async () => {
    const spent: number[] = [];
    const accounts = [
      {
        account: "all",
        options: { perCallUsd: 0, perDayUsd: 0, perSessionUsd: 0.01, alertRatio: 0.8 },
      },
    ];
    const ledger = new BudgetLedger("/nowhere/at/all", () => {});
    const providers = ["dear", "cheap"].map((name) => ({
      tool: tool({ name, effect: "write" }),
      ...wholeStack(
        () => Promise.resolve(ok(name)),
        {},
        {
          costOf: () => (name === "dear" ? 0.02 : 0.004),
          budgetsOf: () => accounts,
          ledger,
          spent: (_call, usd) => spent.push(usd),
        },
      ),
    }));
    const byName = new Map(providers.map((one) => [one.tool.name, one]));
    const search = groupTool(
      "search",
      group.parse({
        description: "Search",
        strategy: "best",
        healthCheck: false,
        providers: [
          { tool: "dear", reputation: 90 },
          { tool: "cheap", reputation: 50 },
        ],
      }),
      {
        find: (name) => byName.get(name)?.tool,
        figures: () => ({ meanMs: undefined, successRate: undefined }),
        isHealthy: () => Promise.resolve(true),
        call: (asked, args, received, deadline) => {
          const one = byName.get(asked.name);
          if (one === undefined) return expect.unreachable();
          return one.composed({ ...received, tool: asked, params: { arguments: args }, deadline });
        },
        report: () => {},
      },
    );
    if (!("answer" in search)) return expect.unreachable();
    const result = await search.answer(call());
    expect(result).toMatchObject({ ...ok("cheap"), _meta: { "holdfast/provider": "cheap" } });
    expect(byName.get("dear")?.executed).toHaveLength(0);
    expect(spent).toEqual([0.004]);
  });
});

describe("the total time × every wait", () => {
  const short = { attemptMs: 1000, totalMs: 1000 };

  it.each<[string, () => ReturnType<typeof wholeStack>]>([
    ["for a connection", () => wholeStack(after(0), { timeout: short }, { untilReady: waits })],
    ["for an answer", () => wholeStack(untilCancelled, { timeout: short })],
    [
      "for a place",
      () => busy({ timeout: short, bulkhead: { maxConcurrent: 1 }, coalesce: false }),
    ],
    [
      "for a token",
      () =>
        busy({ timeout: short, rateLimit: { requestsPerSecond: 0.1, burst: 1 }, coalesce: false }),
    ],
    [
      "for the next attempt",
      () => wholeStack(fails, { timeout: short, retry: { initialDelayMs: 5000, jitter: "none" } }),
    ],
    ["for another's answer", () => busy({ timeout: short })],
  ])("ends a wait %s", async (_, make) => {
    const { ask } = make();
    const answer = ask();
    await pass(1001);
    const got = await Promise.race([answer, Promise.resolve("still waiting")]);
    expect(got).toBeInstanceOf(CallError);
    expect((got as CallError).attempts).toBeLessThanOrEqual(2);
  });

  it.each<[string, () => ReturnType<typeof wholeStack>]>([
    ["for a connection", () => wholeStack(after(0), {}, { untilReady: waits })],
    ["for an answer", () => wholeStack(untilCancelled, {})],
    ["for a place", () => busy({ bulkhead: { maxConcurrent: 1 }, coalesce: false })],
    [
      "for a token",
      () => busy({ rateLimit: { requestsPerSecond: 0.1, burst: 1 }, coalesce: false }),
    ],
    [
      "for the next attempt",
      () => wholeStack(fails, { retry: { initialDelayMs: 5000, jitter: "none" } }),
    ],
    ["for another's answer", () => busy({})],
  ])("a cancel ends a wait %s at once", async (_, make) => {
    const { ask } = make();
    const signal = new Cancel();
    const answer = ask({ signal });
    await pass(10);
    signal.cancel(cancelled("enough"));
    const got = await Promise.race([answer, pass(0).then(() => "still waiting")]);
    expect(got).toMatchObject({ code: "cancelled", message: "enough" });
  });

  /** A stack that one call keeps busy already. */
  function busy(policies: Parameters<typeof wholeStack>[1]) {
    const made = wholeStack(untilCancelled, policies);
    void made.ask();
    return made;
  }

  /** Waits as an upstream does that is connecting. */
  function waits({ signal, deadline }: Call): Promise<void> {
    return new Promise((_, reject) => {
      signal.subscribe(reject);
      setTimeout(
        () =>
          reject(new CallError("unavailable", "connecting", { outcome: "failed", local: true })),
        Math.min(deadline.at - performance.now(), 100_000),
      );
    });
  }
});
