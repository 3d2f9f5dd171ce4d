import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { compose, type Call, type Handle, type Result } from "../../src/call.ts";
import type { ScopeOf } from "../../src/canonical.ts";
import { Cancel } from "../../src/cancel.ts";
import { Epoch } from "../../src/epoch.ts";
import { cancelled } from "../../src/errors.ts";
import { asPersonal } from "../../src/personal.ts";
import { cache } from "../../src/policies/cache.ts";
import { completeCache, type CacheOptions } from "../../src/policies/cache-options.ts";
import { epoch } from "../../src/policies/epoch.ts";
import { MemoryStore } from "../../src/stores/memory.ts";
import type { CacheEntry, CacheStore } from "../../src/stores/store.ts";
import { call, ok, outcomeOf, recorder, scripted, tool, untilCancelled } from "../support/calls.ts";

const readTool = tool({ effect: "read" });
const read = (args: object = {}, over: Partial<Call> = {}): Call =>
  call({ tool: readTool, params: { name: "do", arguments: args }, ...over });

/** A cache of one second, behind an epoch as the stack has it. */
const setUp = (
  inner: Handle,
  over: Partial<CacheOptions> = {},
  given?: CacheStore,
  scopeOf?: ScopeOf,
) => {
  const current = new Epoch();
  const store = given ?? new MemoryStore({ maxEntries: 100, maxBytes: 1_000_000 });
  const { report, events, types } = recorder();
  const options = completeCache({ enabled: true, ttlMs: 1000, minTtlMs: 1, ...over });
  const policy = cache({
    optionsOf: () => options,
    store,
    epoch: () => current.value,
    report,
    ...(scopeOf !== undefined && { scopeOf }),
  });
  return {
    handle: compose([epoch(current), policy], inner),
    policy,
    store,
    current,
    events,
    types,
  };
};

/** What a result of the cache carries. */
const noteOf = (result: Result | Error): unknown =>
  ((result as Result)["_meta"] as Result | undefined)?.["holdfast/cache"];
const hit = (ageMs: number, stale = false) => ({ hit: true, ageMs, stale });

/** Answers `1`, `2`, … when the test says so. */
function counting() {
  const seen: Call[] = [];
  const ends: ((error?: Error) => void)[] = [];
  const handle: Handle = (received) =>
    new Promise((resolve, reject) => {
      received.signal.subscribe(reject);
      seen.push(received);
      const answer = ok(`${seen.length}`);
      ends.push((error) => (error === undefined ? resolve(answer) : reject(error)));
    });
  const end = async (at: number, error?: Error): Promise<void> => {
    ends[at]?.(error);
    await vi.advanceTimersByTimeAsync(0);
  };
  return { handle, seen, end };
}

/** Answers `1`, `2`, … at once. */
function prompt(): { handle: Handle; seen: Call[] } {
  const seen: Call[] = [];
  return {
    seen,
    handle: (received) => {
      seen.push(received);
      return Promise.resolve(ok(`${seen.length}`));
    },
  };
}

/** A store that answers later, as one over a network does. */
class SlowStore extends MemoryStore {
  readonly #ms: number;

  constructor(ms: number) {
    super({ maxEntries: 100, maxBytes: 1_000_000 });
    this.#ms = ms;
  }

  override get(key: string): never {
    return new Promise((resolve) => {
      setTimeout(() => resolve(super.get(key)), this.#ms);
    }) as never;
  }
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe("cache", () => {
  it("gives a fresh answer again, with a note of its age, and reports both", async () => {
    const { handle: inner, seen } = prompt();
    const { handle, policy, events } = setUp(inner);
    expect(await handle(read({ a: 1, b: 2 }))).toEqual(ok("1"));
    await vi.advanceTimersByTimeAsync(999);
    const request = read({ b: 2, a: 1 });
    expect(await handle(request)).toEqual({ ...ok("1"), _meta: { "holdfast/cache": hit(999) } });
    expect(seen).toHaveLength(1);
    expect(events.map(({ type }) => type)).toEqual(["cache.missed", "cache.hit"]);
    expect(events[1]).toEqual({ type: "cache.hit", call: request, stale: false });
    expect(policy.stats()).toEqual({ hits: 1, misses: 1, hitRate: 0.5, bias: 1, storeErrors: 0 });
  });

  it("keeps what an answer says in its _meta, and never changes the kept answer", async () => {
    const answer = { ...ok(), _meta: { "x/y": 1 } };
    const { handle } = setUp(scripted(answer).handle);
    expect(await handle(read())).toBe(answer);
    await handle(read());
    await vi.advanceTimersByTimeAsync(10);
    expect(await handle(read())).toEqual({
      ...ok(),
      _meta: { "x/y": 1, "holdfast/cache": hit(10) },
    });
    expect(answer).toEqual({ ...ok(), _meta: { "x/y": 1 } });
  });

  it("reads anew when the time is over", async () => {
    const { handle: inner } = prompt();
    const { handle } = setUp(inner);
    await handle(read());
    await vi.advanceTimersByTimeAsync(1000);
    expect(await handle(read())).toEqual(ok("2"));
  });

  it("sends 1000 equal reads at once as one", async () => {
    const { handle: inner, seen, end } = counting();
    const { handle, types, policy } = setUp(inner);
    const waiting = Array.from({ length: 1000 }, () => handle(read()));
    await end(0);
    expect(new Set(await Promise.all(waiting)).size).toBe(1);
    expect(noteOf(await handle(read()))).toEqual(hit(0));
    expect(seen).toHaveLength(1);
    expect(types().filter((type) => type === "call.coalesced")).toHaveLength(999);
    expect(policy.stats()).toMatchObject({ hits: 1, misses: 1000 });
  });

  it("keeps nothing of what may change something, nor of tasks, nor where it is off", async () => {
    const requests: Partial<Call>[] = [
      {},
      { tool: tool({ effect: "idempotent" }) },
      { tool: readTool, params: { name: "do", task: {} } },
      { tool: undefined, method: "tasks/get", params: { taskId: "1" } },
    ];
    for (const request of requests) {
      const { handle: inner, seen } = prompt();
      const { handle, types } = setUp(inner);
      const same = call(request);
      await handle(same);
      expect(await handle(same)).toEqual(ok("2"));
      expect(seen[0]).toBe(same);
      expect(types()).toEqual([]);
    }
    const { handle: inner } = prompt();
    const { handle } = setUp(inner, { enabled: false });
    await handle(read());
    expect(await handle(read())).toEqual(ok("2"));
  });

  it("keeps no tool's no, no failure and no question to the caller", async () => {
    const question = { resultType: "input_required", inputRequests: {} };
    const failure = new Error("it broke");
    const no = { ...ok("no"), isError: true };
    const complete = { ...ok(), resultType: "complete" };
    const { handle } = setUp(scripted(no, failure, question, complete).handle);
    expect(await handle(read())).toBe(no);
    expect(await outcomeOf(handle(read()))).toBe(failure);
    expect(await handle(read())).toBe(question);
    expect(await handle(read())).toBe(complete);
    expect(await handle(read())).toMatchObject(complete);
  });

  it("keeps nothing that is one client's alone", async () => {
    const { handle } = setUp(scripted(asPersonal(ok("Ada's")), ok("2")).handle);
    expect(await handle(read())).toEqual(ok("Ada's"));
    expect(await handle(read())).toEqual(ok("2"));
  });

  it("keeps reads of resources, and forgets one by its URI", async () => {
    const { handle: inner } = prompt();
    const { handle, store } = setUp(inner);
    const resource = (uri: string): Call =>
      call({ method: "resources/read", tool: undefined, params: { uri } });
    await handle(resource("file:///a"));
    await handle(resource("file:///b"));
    expect(await store.invalidate({ upstream: "up", uri: "file:///a" })).toBe(1);
    expect(noteOf(await handle(resource("file:///b")))).toEqual(hit(0));
    expect(await handle(resource("file:///a"))).toEqual(ok("3"));
  });

  it("never gives an answer to a call that differs in more than order", async () => {
    vi.useRealTimers();
    const args = fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constantFrom(1, "1", null, [1]));
    await fc.assert(
      fc.asyncProperty(fc.array(args, { maxLength: 20 }), async (script) => {
        const echo: Handle = ({ params }) =>
          Promise.resolve({ structuredContent: params["arguments"] });
        const { handle } = setUp(echo);
        for (const given of script)
          expect((await handle(read(given)))["structuredContent"]).toEqual(given);
      }),
    );
  });
});

describe("the cache and writes", () => {
  it("gives nothing that was read before a write, whether the write is under way or over", async () => {
    const { handle: inner, seen, end } = counting();
    const { handle } = setUp(inner);
    const before = handle(read());
    await end(0);
    expect(await before).toEqual(ok("1"));
    const write = handle(call());
    const during = handle(read());
    await end(2);
    expect(await during).toEqual(ok("3"));
    await end(1);
    await write;
    const after = handle(read());
    await end(3);
    expect(await after).toEqual(ok("4"));
    expect(noteOf(await handle(read()))).toEqual(hit(0));
    expect(seen).toHaveLength(4);
  });

  it("does not keep what was read while a write started or ended", async () => {
    const { handle: inner, seen, end } = counting();
    const { handle } = setUp(inner);
    const begunBefore = handle(read());
    const write = handle(call());
    const begunDuring = handle(read());
    expect(seen).toHaveLength(3);
    await end(0);
    await end(1);
    await end(2);
    expect(await Promise.all([begunBefore, write, begunDuring])).toEqual([
      ok("1"),
      ok("2"),
      ok("3"),
    ]);
    void handle(read());
    expect(seen).toHaveLength(4);
  });

  it("gives a stale answer of an older epoch neither at once nor when the read fails", async () => {
    const failure = new Error("it broke");
    const { handle } = setUp(scripted(ok(), ok("written"), failure).handle, { staleMs: 60_000 });
    await handle(read());
    await handle(call());
    expect(await outcomeOf(handle(read()))).toBe(failure);
  });
});

describe("invalidate", () => {
  it("removes answers, and says how many", async () => {
    const { handle: inner } = prompt();
    const { handle, store } = setUp(inner);
    await handle(read({ a: 1 }));
    await handle(read({ a: 2 }));
    expect(await store.invalidate({ tools: ["up__*"] })).toBe(2);
    expect(await handle(read({ a: 1 }))).toEqual(ok("3"));
  });

  it("is not undone by a read that began before, and nobody joins that", async () => {
    const { handle: inner, seen, end } = counting();
    const { handle, store } = setUp(inner);
    const before = handle(read());
    expect(await store.invalidate("all")).toBe(0);
    const after = handle(read());
    expect(seen).toHaveLength(2);
    await end(1);
    await end(0);
    expect(await Promise.all([before, after])).toEqual([ok("1"), ok("2")]);
    expect(await handle(read())).toMatchObject(ok("2"));
  });
});

describe("cancelling a cached read", () => {
  it("lets a waiter go at once while the others get the answer", async () => {
    const { handle: inner, end } = counting();
    const { handle } = setUp(inner);
    const signal = new Cancel();
    const first = outcomeOf(handle(read({}, { signal })));
    const second = handle(read());
    const reason = cancelled("enough");
    signal.cancel(reason);
    expect(await first).toBe(reason);
    await end(0);
    expect(await second).toEqual(ok("1"));
    expect(noteOf(await handle(read()))).toEqual(hit(0));
  });

  it("cancels upstream with the last waiter", async () => {
    const { handle: inner, seen } = counting();
    const { handle } = setUp(inner);
    const signals = [new Cancel(), new Cancel()];
    const waiting = signals.map((signal) => outcomeOf(handle(read({}, { signal }))));
    const reason = cancelled("enough");
    signals[0]?.cancel(reason);
    expect(seen[0]?.signal.reason).toBeUndefined();
    signals[1]?.cancel(reason);
    expect(seen[0]?.signal.reason).toBe(reason);
    expect(await Promise.all(waiting)).toEqual([reason, reason]);
  });

  it("does not wait for a slow store", async () => {
    const { handle: inner, seen } = prompt();
    const { handle } = setUp(inner, {}, new SlowStore(500));
    const signal = new Cancel();
    const outcome = outcomeOf(handle(read({}, { signal })));
    const reason = cancelled("enough");
    signal.cancel(reason);
    expect(await outcome).toBe(reason);
    await vi.advanceTimersByTimeAsync(500);
    expect(seen).toHaveLength(0);
  });
});

describe("stale answers", () => {
  const staleMs = 5000;

  it("are given at once while one read in the background brings a new one", async () => {
    const { handle: inner, seen, end } = counting();
    const { handle, events } = setUp(inner, { staleMs });
    void handle(read());
    await end(0);
    await vi.advanceTimersByTimeAsync(1500);
    const stale = await Promise.all([handle(read()), handle(read())]);
    expect(stale.map(noteOf)).toEqual([hit(1500, true), hit(1500, true)]);
    expect(events.at(-1)).toMatchObject({ type: "cache.hit", stale: true });
    expect(seen).toHaveLength(2);
    await end(1);
    const fresh = await handle(read());
    expect(fresh).toMatchObject(ok("2"));
    expect(noteOf(fresh)).toEqual(hit(0));
    expect(seen).toHaveLength(2);
  });

  it("are read anew whatever becomes of the call that found them", async () => {
    const { handle: inner, seen, end } = counting();
    const { handle } = setUp(inner, { staleMs });
    void handle(read());
    await end(0);
    await vi.advanceTimersByTimeAsync(1500);
    const signal = new Cancel();
    const deadline = { at: performance.now() + 1, max: performance.now() + 1 };
    await handle(read({}, { signal, deadline, onProgress: () => {} }));
    signal.cancel(cancelled("enough"));
    expect(seen[1]?.signal.reason).toBeUndefined();
    expect(seen[1]?.deadline).toEqual({ at: Infinity, max: Infinity });
    expect(seen[1]?.onProgress).toBeUndefined();
    await end(1);
    expect(await handle(read())).toMatchObject(ok("2"));
  });

  it("are given as long as the new read fails, and no longer than staleMs", async () => {
    const { handle: inner, seen, end } = counting();
    const { handle } = setUp(inner, { staleMs });
    const failure = new Error("it broke");
    void handle(read());
    await end(0);
    await vi.advanceTimersByTimeAsync(1500);
    expect(noteOf(await handle(read()))).toEqual(hit(1500, true));
    await end(1, failure);
    await vi.advanceTimersByTimeAsync(4499);
    expect(noteOf(await handle(read()))).toEqual(hit(5999, true));
    await end(2, failure);
    await vi.advanceTimersByTimeAsync(1);
    const late = outcomeOf(handle(read()));
    expect(seen).toHaveLength(4);
    await end(3, failure);
    expect(await late).toBe(failure);
  });

  it("are not replaced by a tool's no", async () => {
    const no = { ...ok("no"), isError: true };
    const { handle } = setUp(scripted(ok("good"), no, untilCancelled).handle, { staleMs });
    await handle(read());
    await vi.advanceTimersByTimeAsync(1500);
    await handle(read());
    await vi.advanceTimersByTimeAsync(1);
    expect(await handle(read())).toMatchObject(ok("good"));
  });
});

describe("the times of a cache", () => {
  /** Remembers what is stored. */
  class Recorded extends MemoryStore {
    readonly entries: CacheEntry[] = [];

    constructor() {
      super({ maxEntries: 100, maxBytes: 1_000_000 });
    }

    override set(key: string, entry: CacheEntry): void {
      this.entries.push(entry);
      super.set(key, entry);
    }
  }

  const asking = (handle: Handle) => async (times: number) => {
    for (let n = 0; n < times; n++) await handle(read());
  };

  it("double for an answer that was given more than 100 times, and halve for one under 10", async () => {
    const store = new Recorded();
    const { handle, current } = setUp(prompt().handle, { ttlMs: 4000 }, store);
    const ask = asking(handle);
    await ask(102);
    await vi.advanceTimersByTimeAsync(60_000);
    await ask(10);
    current.bump();
    await ask(1);
    current.bump();
    await ask(11);
    current.bump();
    await ask(1);
    expect(store.entries.map(({ ttlMs }) => ttlMs)).toEqual([4000, 8000, 4000, 2000, 2000]);
  });

  it("count the hits of stale answers too", async () => {
    const store = new Recorded();
    const { handle: inner, end } = counting();
    const { handle } = setUp(inner, { staleMs: 10_000 }, store);
    void handle(read());
    await end(0);
    await vi.advanceTimersByTimeAsync(1500);
    await asking(handle)(10);
    await end(1);
    expect(store.entries.map(({ ttlMs }) => ttlMs)).toEqual([1000, 1000]);
  });

  it("are steered toward the target, all together, after each 100 calls", async () => {
    const store = new Recorded();
    const { handle, policy, current } = setUp(prompt().handle, { hitRateTarget: 1 }, store);
    await asking(handle)(99);
    expect(policy.stats().bias).toBe(1);
    await asking(handle)(1);
    expect(policy.stats().bias).toBeCloseTo(1.1);
    current.bump();
    await handle(read({ other: true }));
    const last = store.entries.at(-1);
    expect(last).toMatchObject({ ttlMs: 1000, freshUntil: Date.now() + 1100 });
    const low = setUp(prompt().handle, { hitRateTarget: 0.4 });
    await asking(low.handle)(100);
    expect(low.policy.stats().bias).toBeCloseTo(1 / 1.1);
    for (let n = 0; n < 100; n++) await low.handle(read({ n }));
    expect(low.policy.stats().bias).toBeCloseTo(1);
  });
});

describe("a cache whose store", () => {
  it("answers later works the same", async () => {
    const { handle: inner, seen, end } = counting();
    const { handle } = setUp(inner, {}, new SlowStore(5));
    const first = [handle(read()), handle(read())];
    await vi.advanceTimersByTimeAsync(5);
    await end(0);
    expect(await Promise.all(first)).toEqual([ok("1"), ok("1")]);
    const second = handle(read());
    await vi.advanceTimersByTimeAsync(5);
    expect(noteOf(await second)).toEqual(hit(5));
    expect(seen).toHaveLength(1);
  });

  it("answers after a write began gives nothing that was read before", async () => {
    const { handle: inner } = prompt();
    const { handle, current } = setUp(inner, {}, new SlowStore(5));
    const first = handle(read());
    await vi.advanceTimersByTimeAsync(5);
    await first;
    const second = handle(read());
    current.bump();
    await vi.advanceTimersByTimeAsync(5);
    expect(await second).toEqual(ok("2"));
  });

  const failure = new Error("the store is down");
  const failing: [string, () => never][] = [
    [
      "throws",
      () => {
        throw failure;
      },
    ],
    ["rejects", () => Promise.reject(failure) as never],
  ];
  for (const [how, fail] of failing) {
    it(`${how} at each question fails no call, and is counted`, async () => {
      const { handle: inner } = prompt();
      const store: CacheStore = {
        generation: 0,
        get: fail,
        set: fail,
        hit: fail,
        invalidate: fail,
        stats: fail,
      };
      const { handle, policy, types } = setUp(inner, {}, store);
      expect(await handle(read())).toEqual(ok("1"));
      expect(await handle(read())).toEqual(ok("2"));
      await vi.advanceTimersByTimeAsync(0);
      expect(policy.stats()).toMatchObject({ hits: 0, misses: 2, storeErrors: 4 });
      expect(types()).toEqual(["cache.missed", "cache.missed"]);
    });

    it(`${how} when it counts a hit still gives that`, async () => {
      const { handle: inner } = prompt();
      const store = new MemoryStore({ maxEntries: 10, maxBytes: 10_000 });
      store.hit = fail;
      const { handle, policy } = setUp(inner, {}, store);
      await handle(read());
      expect(noteOf(await handle(read()))).toEqual(hit(0));
      await vi.advanceTimersByTimeAsync(0);
      expect(policy.stats().storeErrors).toBe(1);
    });
  }
});

describe("answers that depend on their callers", () => {
  it("are kept for those of their scope, and not at all where there is none", async () => {
    const scopes: Record<string, string | undefined> = { a: "a", b: "b", none: undefined };
    const { handle: inner, seen } = prompt();
    const scopeOf: ScopeOf = ({ caller }) => scopes[caller.session];
    const { handle } = setUp(inner, {}, undefined, scopeOf);
    for (const session of ["a", "b", "a", "none", "none", "b"])
      await handle(read({}, { caller: { principal: "p", session, client: "" } }));
    expect(seen.map(({ caller }) => caller.session)).toEqual(["a", "b", "none", "none"]);
  });
});
