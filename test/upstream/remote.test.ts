import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { JsonObject, Result } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import type { Connection } from "../../src/upstream/connection.ts";
import { RemoteUpstream, retryDelay, type RemoteOptions } from "../../src/upstream/remote.ts";
import { call, ok, outcomeOf, recorder } from "../support/calls.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const lost = (why: string): CallError =>
  new CallError("connection_lost", why, { outcome: "failed" });

/** A connection that a test ends and changes as it likes. */
function fakeConnection(tools: string[] = ["a"]) {
  let end = (_: CallError): void => {};
  let notify = (_method: string, _params: JsonObject): void => {};
  const state = {
    tools,
    lists: 0,
    closed: false,
    inFlight: 0,
    pings: true,
    requests: [] as string[],
  };
  const connection: Connection = {
    info: { name: "fake", version: "1", protocolVersion: "2025-11-25", capabilities: {} },
    handle: () => Promise.resolve<Result>(ok()),
    list: (name: string) => {
      if (name === "tools") state.lists++;
      return Promise.resolve(name === "tools" ? state.tools.map((tool) => ({ name: tool })) : []);
    },
    request: (method) => {
      state.requests.push(method);
      return Promise.resolve({});
    },
    ping: () => (state.pings ? Promise.resolve() : Promise.reject(new Error("no pong"))),
    notify: () => {},
    hold: () => {},
    inFlight: () => state.inFlight,
    callers: () => [],
    onNotification: (listener) => (notify = listener),
    ended: new Promise((resolve) => (end = resolve)),
    close: () => {
      state.closed = true;
      end(lost("closed"));
      return Promise.resolve();
    },
  };
  return {
    connection,
    state,
    end: (why: string) => end(lost(why)),
    changed: () => notify("notifications/tools/list_changed", {}),
  };
}

const defaults: Omit<RemoteOptions, "connect" | "report"> = {
  name: "up",
  startTimeoutMs: 1000,
  idleStopMs: 0,
  accept: (_, items) => Promise.resolve(items),
  remember: () => {},
};

type Script = (Error | ReturnType<typeof fakeConnection> | "hang")[];

const setUp = (...script: Script) => setUpWith({}, ...script);

function setUpWith(over: Partial<RemoteOptions>, ...script: Script) {
  const { report, events } = recorder();
  let tries = 0;
  const upstream = new RemoteUpstream({
    ...defaults,
    ...over,
    report,
    connect: (_, abandon) => {
      const turn = script[Math.min(tries++, script.length - 1)];
      if (turn === "hang" || turn === undefined)
        return new Promise((_resolve, reject) => abandon.subscribe(reject));
      return turn instanceof Error ? Promise.reject(turn) : Promise.resolve(turn.connection);
    },
  });
  const states = () => events.flatMap((event) => (event.type === "upstream.state" ? event.to : []));
  return { upstream, events, states, tries: () => tries };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

describe("retryDelay", () => {
  it("is nothing at first, then 200 ms, doubling to 30 s", () => {
    expect([1, 2, 3, 4, 9, 10, 50].map(retryDelay)).toEqual([
      0, 200, 400, 800, 25_600, 30_000, 30_000,
    ]);
  });
});

describe("RemoteUpstream", () => {
  it("connects, lists and answers calls", async () => {
    const { upstream, states } = setUp(fakeConnection(["a", "b"]));
    upstream.start();
    await upstream.settled;
    expect(states()).toEqual(["connecting", "ready"]);
    expect(upstream.lists().tools.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(upstream.ready(call())).toBeUndefined();
    expect(await upstream.handle(call())).toEqual(ok());
  });

  it("is restarted at once when it is lost, and keeps its tools listed meanwhile", async () => {
    const first = fakeConnection(["a"]);
    const { upstream, states, tries } = setUp(first, fakeConnection(["a", "b"]));
    upstream.start();
    await settle();
    first.end("it crashed");
    await Promise.resolve();
    expect(upstream.lists().tools).toHaveLength(1);
    await settle();
    expect(states()).toEqual(["connecting", "ready", "lost", "connecting", "ready"]);
    expect(tries()).toBe(2);
    expect(upstream.status()).toMatchObject({ state: "ready", losses: 1, tools: 2 });
  });

  it("slows down when it does not hold, and starts anew after 10 s of health", async () => {
    const connections = Array.from({ length: 6 }, () => fakeConnection());
    const { upstream, tries } = setUp(...connections);
    upstream.start();
    const next = async (index: number, expectedDelay: number): Promise<void> => {
      connections[index]?.end("it crashed");
      await vi.advanceTimersByTimeAsync(Math.max(0, expectedDelay - 1));
      if (expectedDelay > 0) expect(tries()).toBe(index + 1);
      await vi.advanceTimersByTimeAsync(1);
      expect(tries()).toBe(index + 2);
    };
    await settle();
    await next(0, 0);
    await next(1, 200);
    await next(2, 400);
    await vi.advanceTimersByTimeAsync(10_000);
    await next(3, 0);
    await next(4, 200);
  });

  it("lets calls wait for a connection that is being made", async () => {
    const { upstream } = setUp(fakeConnection());
    const wait = upstream.ready(call());
    expect(wait).toBeInstanceOf(Promise);
    await wait;
    expect(upstream.status().state).toBe("ready");
  });

  it("refuses a waiting call at its deadline, saying that nothing was sent", async () => {
    const { upstream } = setUp("hang");
    const at = performance.now() + 50;
    const outcome = outcomeOf(
      upstream.ready(call({ deadline: { at, max: at } })) ?? Promise.resolve(),
    );
    await vi.advanceTimersByTimeAsync(50);
    expect(await outcome).toMatchObject({ code: "unavailable", outcome: "failed" });
  });

  it("lets a waiting call leave at once when it is cancelled", async () => {
    const { upstream } = setUp("hang");
    const signal = new Cancel();
    const outcome = outcomeOf(upstream.ready(call({ signal })) ?? Promise.resolve());
    signal.cancel(cancelled("enough"));
    expect(await outcome).toMatchObject({ code: "cancelled" });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("refuses calls with the time of the next try where that is far off", async () => {
    const { upstream } = setUp(new Error("command not found"));
    upstream.start();
    await vi.advanceTimersByTimeAsync(200 + 400 + 800);
    expect(await outcomeOf(upstream.ready(call()) ?? Promise.resolve())).toMatchObject({
      code: "unavailable",
      outcome: "failed",
      retryAfterMs: 1600,
      message: "up is not available: command not found",
    });
  });

  it("refuses those that wait when the next try is put far off", async () => {
    const { upstream } = setUp(new Error("command not found"));
    const outcome = outcomeOf(upstream.ready(call()) ?? Promise.resolve());
    await vi.advanceTimersByTimeAsync(1400);
    expect(await outcome).toMatchObject({ code: "unavailable", retryAfterMs: 1600 });
  });

  it("fetches its tools anew when they change, once at a time, and tells", async () => {
    const fake = fakeConnection(["a"]);
    const { upstream } = setUp(fake);
    let told = 0;
    upstream.watch({ changed: () => told++, notified: () => {} });
    upstream.start();
    await settle();
    fake.state.tools = ["a", "b"];
    fake.changed();
    fake.changed();
    fake.changed();
    await settle();
    expect(upstream.lists().tools).toHaveLength(2);
    expect(fake.state.lists).toBe(2);
    await vi.advanceTimersByTimeAsync(250);
    expect(fake.state.lists).toBe(3); // at the start, for the first change, and once for those meanwhile
    expect(told).toBe(3);
  });

  it("serves what it remembers from an earlier run until it knows better", async () => {
    const remembered: unknown[] = [];
    const info = {
      name: "fake",
      version: "0",
      protocolVersion: "x",
      capabilities: { logging: {} },
    };
    const lists = { tools: [{ name: "old" }], prompts: [], resources: [], resourceTemplates: [] };
    const { upstream } = setUpWith(
      { manifest: { info, lists }, remember: (manifest) => remembered.push(manifest.lists.tools) },
      fakeConnection(["new"]),
    );
    await upstream.known;
    expect(upstream.lists().tools).toEqual([{ name: "old" }]);
    expect(upstream.can("logging")).toBe(true);
    upstream.start();
    await upstream.settled;
    expect(upstream.lists().tools).toEqual([{ name: "new" }]);
    expect(remembered).toEqual([[{ name: "new" }]]);
  });

  it("tells a new connection again what clients subscribed to and which log level they want", async () => {
    const first = fakeConnection();
    const second = fakeConnection();
    const { upstream } = setUp(first, second);
    upstream.start();
    await settle();
    const say = (method: string, params: JsonObject) => upstream.handle(call({ method, params }));
    await say("resources/subscribe", { uri: "a" });
    await say("resources/subscribe", { uri: "b" });
    await say("resources/unsubscribe", { uri: "a" });
    await say("logging/setLevel", { level: "info" });
    first.end("it crashed");
    await settle();
    expect(second.state.requests).toEqual(["resources/subscribe", "logging/setLevel"]);
  });

  it("is stopped when no call came for idleStopMs, and started by the next", async () => {
    const first = fakeConnection();
    const { upstream, tries } = setUpWith({ idleStopMs: 1000 }, first, fakeConnection());
    upstream.start();
    await settle();
    first.state.inFlight = 1;
    await vi.advanceTimersByTimeAsync(3000);
    expect(upstream.status().state).toBe("ready");
    first.state.inFlight = 0;
    await vi.advanceTimersByTimeAsync(1000);
    expect(first.state.closed).toBe(false); // the time counts from the end of a call
    await vi.advanceTimersByTimeAsync(500);
    expect(first.state.closed).toBe(true);
    expect(upstream.status()).toMatchObject({ state: "idle", losses: 0, tools: 1 });
    await upstream.ready(call());
    expect(tries()).toBe(2);
    expect(upstream.status().state).toBe("ready");
    await upstream.close();
  });

  it("keeps the connection that a call woke while the one before takes its time to end", async () => {
    const first = fakeConnection();
    let gone = (): void => {};
    const closing = new Promise<void>((resolve) => (gone = resolve));
    const lingering = { ...first, connection: { ...first.connection, close: () => closing } };
    const second = fakeConnection();
    const { upstream, tries } = setUpWith({ idleStopMs: 1000 }, lingering, second);
    upstream.start();
    await vi.advanceTimersByTimeAsync(1250);
    expect(upstream.status().state).toBe("idle");
    await upstream.ready(call());
    first.end("it left at last");
    await vi.advanceTimersByTimeAsync(500);
    second.state.inFlight = 1;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(upstream.status()).toMatchObject({ state: "ready", losses: 0 });
    expect(tries()).toBe(2);
    let closed = false;
    const close = upstream.close().then(() => (closed = true));
    await settle();
    expect(closed).toBe(false);
    gone();
    await close;
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is connected anew when it answers no ping, unless calls are under way or nothing is read of it", async () => {
    const first = fakeConnection();
    const { upstream, tries } = setUp(first, fakeConnection());
    upstream.start();
    await settle();
    first.state.pings = false;
    first.state.inFlight = 1;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(tries()).toBe(1);
    first.state.inFlight = 0;
    upstream.hold(true);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(tries()).toBe(1);
    upstream.hold(false);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(first.state.closed).toBe(true);
    // The connection had held long enough, so the next try is at once, by a timer of its own.
    await vi.advanceTimersByTimeAsync(1);
    expect(tries()).toBe(2);
    await upstream.close();
  });

  it("tells a crash loop once", async () => {
    const { upstream, events } = setUp(new Error("it crashed"));
    upstream.start();
    await vi.advanceTimersByTimeAsync(60_000);
    const told = events.filter(({ type }) => type === "upstream.problem");
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ problem: expect.stringContaining("5 times in a row") });
    await upstream.close();
  });

  it("is never started where it is disabled, and says why", async () => {
    const { report } = recorder();
    const upstream = new RemoteUpstream({
      ...defaults,
      report,
      connect: () => expect.unreachable(),
      disabled: "the variable TOKEN is not set",
    });
    upstream.start();
    await upstream.settled;
    expect(upstream.status()).toMatchObject({ state: "disabled" });
    expect(await outcomeOf(upstream.ready(call()) ?? Promise.resolve())).toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("TOKEN"),
    });
  });

  it("abandons a try that is under way when it is closed, and tries no more", async () => {
    const { upstream, tries } = setUp("hang");
    const outcome = outcomeOf(upstream.ready(call()) ?? Promise.resolve());
    await upstream.close();
    expect(await outcome).toMatchObject({ code: "unavailable" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(tries()).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("closes its connection, and does not come back", async () => {
    const fake = fakeConnection();
    const { upstream, tries } = setUp(fake);
    upstream.start();
    await settle();
    await upstream.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(fake.state.closed).toBe(true);
    expect(tries()).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  describe("in the place of another", () => {
    it("lists what that one did, and tells its server what that one's was told", async () => {
      const { upstream: predecessor } = setUp(fakeConnection(["a"]));
      predecessor.start();
      await settle();
      await predecessor.handle(call({ method: "resources/subscribe", params: { uri: "a" } }));
      await predecessor.handle(call({ method: "logging/setLevel", params: { level: "info" } }));
      const next = fakeConnection(["b"]);
      const { upstream } = setUpWith({ predecessor }, next);
      upstream.start();
      await predecessor.close();
      await upstream.known;
      expect(upstream.lists().tools).toEqual([{ name: "a" }]);
      await settle();
      expect(upstream.lists().tools).toEqual([{ name: "b" }]);
      expect(next.state.requests).toEqual(["resources/subscribe", "logging/setLevel"]);
    });

    it("gets the calls that wait for that one", async () => {
      const { upstream: predecessor } = setUp("hang");
      const wait = (predecessor.ready(call()) ?? Promise.resolve()).then(() =>
        predecessor.handle(call()),
      );
      const { upstream } = setUpWith({ predecessor }, fakeConnection());
      await predecessor.close();
      upstream.start();
      expect(await wait).toEqual(ok());
      expect(predecessor.ready(call())).toBeUndefined();
      await upstream.close();
    });

    it("refuses them where it is disabled", async () => {
      const { upstream: predecessor } = setUp("hang");
      const outcome = outcomeOf(predecessor.ready(call()) ?? Promise.resolve());
      const { upstream } = setUpWith({ predecessor, disabled: "it is disabled in config" });
      await predecessor.close();
      expect(await outcome).toMatchObject({
        code: "unavailable",
        outcome: "failed",
        message: "up is not available: it is disabled in config",
      });
      expect(upstream.lists().tools).toEqual([]);
    });

    it("is the only one that connects anew when that one is lost", async () => {
      const first = fakeConnection();
      const { upstream: predecessor, tries } = setUp(first);
      predecessor.start();
      await settle();
      const { upstream } = setUpWith({ predecessor }, fakeConnection());
      upstream.start();
      first.end("it crashed");
      await vi.advanceTimersByTimeAsync(5000);
      expect(tries()).toBe(1);
      expect(await predecessor.handle(call())).toEqual(ok());
      await upstream.close();
    });
  });
});
