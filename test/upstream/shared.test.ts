import { describe, expect, it, vi } from "vitest";
import type { Call, Caller, IsFor, JsonObject, Result } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { cancelled, CallError } from "../../src/errors.ts";
import { Peers, PeerSlot, type Peer } from "../../src/peer.ts";
import type { Connection } from "../../src/upstream/connection.ts";
import type { Listener } from "../../src/upstream/notifications.ts";
import { RemoteUpstream } from "../../src/upstream/remote.ts";
import { SharedUpstream } from "../../src/upstream/shared.ts";
import { orCancelled } from "../../src/wait.ts";
import { call as callOf, ok, outcomeOf } from "../support/calls.ts";

const open = (_connection: number): Promise<void> => Promise.resolve();

/** A server of which each connection tells its number, and ends calls of `wait` when it is told to. */
function setUp({ asks = true, levels = true, gate = open } = {}) {
  const peers = new Peers();
  const peer = new PeerSlot({ roots: {} });
  const connections: Fake[] = [];
  const remoteFor = (of: Peer, idleStopMs = 0): RemoteUpstream =>
    new RemoteUpstream({
      name: "up",
      startTimeoutMs: 1000,
      idleStopMs,
      accept: (_list, items) => Promise.resolve(items),
      report: () => {},
      remember: () => {},
      connect: async (_, abandon) => {
        await orCancelled(gate(connections.length), abandon);
        const fake = fakeConnection(connections.length, of, levels);
        connections.push(fake);
        return fake.connection;
      },
    });
  const make = (predecessor?: SharedUpstream): SharedUpstream =>
    new SharedUpstream({
      remote: remoteFor(peer),
      peers,
      peer,
      asks,
      open: remoteFor,
      predecessor,
    });
  const shared = make();
  const notes: { method: string; isFor: IsFor | undefined }[] = [];
  shared.watch({
    changed: () => {},
    notified: (method, _params, isFor) => notes.push({ method, isFor }),
  });
  const send = async (caller: Caller, over: Partial<Call> = {}): Promise<Result> => {
    const sent = callOf({ caller, ...over });
    await shared.ready(sent);
    return shared.handle(sent);
  };
  /** The number of the connection that a call of that caller gets. */
  const where = async (caller: Caller, over: Partial<Call> = {}): Promise<unknown> =>
    (await send(caller, over))["connection"];
  const join = (session: string, capabilities: JsonObject, principal = "local"): Caller => {
    peers.join(session, new PeerSlot(capabilities));
    return { principal, session, client: "" };
  };
  /** A client of the newer era, for one request. */
  const joinOnce = (key: string, capabilities: JsonObject, within?: Peer): Caller => {
    const ask = (): Promise<Result> => Promise.resolve({ key });
    peers.join(key, { capabilities: Promise.resolve(capabilities), ask, isRequest: true, within });
    return { principal: "local", session: "none", client: "", peer: key };
  };
  return { shared, make, peers, peer, connections, notes, send, where, join, joinOnce };
}

interface Fake {
  readonly connection: Connection;
  /** Whose server it is told that it is. */
  readonly peer: Peer;
  readonly told: string[];
  readonly calls: Call[];
  closed: boolean;
  finish: () => void;
  notify: Listener;
}

function fakeConnection(number: number, peer: Peer, levels: boolean): Fake {
  const waiting = new Set<() => void>();
  const active = new Set<Call>();
  let end = (_: CallError): void => {};
  const fake: Fake = {
    peer,
    told: [],
    calls: [],
    closed: false,
    finish: () => {
      for (const done of waiting) done();
    },
    notify: () => {},
    connection: {
      info: { name: "fake", version: "1", protocolVersion: "2025-11-25", capabilities: {} },
      handle: async (call) => {
        fake.calls.push(call);
        if (call.method === "logging/setLevel" && !levels) throw new Error("no levels here");
        active.add(call);
        if (call.params["name"] === "wait")
          await new Promise<void>((resolve, reject) => {
            waiting.add(resolve);
            call.signal.subscribe(reject);
          }).finally(() => active.delete(call));
        active.delete(call);
        return { ...ok(), connection: number };
      },
      list: () => Promise.resolve([]),
      request: () => Promise.resolve({}),
      ping: () => Promise.resolve(),
      notify: (method) => void fake.told.push(method),
      hold: () => {},
      inFlight: () => active.size,
      callers: () => [...active].map(({ caller }) => caller),
      onNotification: (listener) => (fake.notify = listener),
      ended: new Promise((resolve) => (end = resolve)),
      close: () => {
        fake.closed = true;
        end(new CallError("connection_lost", "closed", { outcome: "failed" }));
        return Promise.resolve();
      },
    },
  };
  return fake;
}

const wait: Partial<Call> = { params: { name: "wait" } };
const stdio: Caller = { principal: "local", session: "stdio", client: "" };

describe("a server that several share", () => {
  it("has one connection while it asks nothing", async () => {
    const { where, join, shared } = setUp({ asks: false });
    const [a, b] = [join("a", { roots: {} }), join("b", { sampling: {} })];
    expect(await Promise.all([a, b, stdio].map((caller) => where(caller)))).toEqual([0, 0, 0]);
    expect(shared.scopeOf(callOf({ caller: a }))).toBe("");
  });

  it("has one for each client that can be asked from the moment that it asks", async () => {
    const { where, join, shared, connections } = setUp({ asks: false });
    const [a, b, c] = [join("a", { roots: {} }), join("b", { sampling: {} }), join("c", {})];
    expect(await where(a)).toBe(0);
    expect([shared.asked(), shared.asked(), shared.asks]).toEqual([true, false, true]);
    const got = await Promise.all([a, b, c, a, b, c].map((caller) => where(caller)));
    expect(got).toEqual([1, 2, 0, 1, 2, 0]);
    expect(await connections[2]?.peer.capabilities).toEqual({ sampling: {} });
  });

  it("shares the one client's connection, and those of callers that are no clients", async () => {
    const { where, peers, peer, shared } = setUp();
    peers.join("stdio", peer);
    expect(await where(stdio)).toBe(0);
    expect(await where({ principal: "local", session: "warming", client: "" })).toBe(0);
    expect(shared.scopeOf(callOf({ caller: stdio }))).toBe("");
  });

  it("lets only those share answers who share the connection", async () => {
    const { where, join, joinOnce, shared } = setUp();
    const [a, b] = [join("a", { roots: {} }), join("b", {})];
    const scope = (caller: Caller): unknown => shared.scopeOf(callOf({ caller }));
    expect(scope(a)).toBe("a");
    await Promise.all([where(a), where(b)]);
    expect([scope(a), scope(b)]).toEqual(["a", ""]);
    expect(scope(joinOnce("once", { roots: {} }))).toBeUndefined();
  });

  it("ends a client's connection with its session, and opens none for one that has gone", async () => {
    const { where, join, shared, connections, peers } = setUp();
    const a = join("a", { roots: {} });
    await where(a);
    shared.left("a");
    expect([connections[0]?.closed, connections.length]).toEqual([true, 1]);
    const leave = peers.join("b", new PeerSlot({ roots: {} }));
    const b = { principal: "local", session: "b", client: "" };
    const ready = shared.ready(callOf({ caller: b }));
    leave();
    await ready;
    expect(await where(b)).toBe(1);
    expect(connections[1]?.peer).not.toBe(connections[0]?.peer);
    expect(shared.scopeOf(callOf({ caller: b }))).toBe("");
  });

  it("passes a client's notes to its own connection, else to that of all", async () => {
    const { where, join, shared, connections } = setUp();
    const [a, b] = [join("a", { roots: {} }), join("b", {})];
    await where(b);
    await where(a);
    shared.notify("notifications/roots/list_changed", {}, "a");
    shared.notify("notifications/progress", {}, "b");
    expect(connections.map(({ told }) => told)).toEqual([
      ["notifications/progress"],
      ["notifications/roots/list_changed"],
    ]);
  });

  it("tells a client's log level to its connection when that is opened, however late", async () => {
    vi.useFakeTimers();
    try {
      let connect = (): void => {};
      const later = new Promise<void>((resolve) => (connect = resolve));
      const { send, where, join, connections } = setUp({
        gate: (connection) => (connection === 0 ? open(0) : later),
      });
      const a = join("a", { roots: {} });
      const setLevel = { method: "logging/setLevel", params: { level: "debug" }, tool: undefined };
      // Its own time is over by then.
      await send(a, { ...setLevel, deadline: { at: 1, max: 1 } });
      expect(connections).toHaveLength(1);
      const used = where(a);
      await vi.advanceTimersByTimeAsync(100);
      connect();
      await used;
      await vi.advanceTimersByTimeAsync(0);
      expect(connections[1]?.calls.map(({ params }) => params["level"])).toContain("debug");
    } finally {
      vi.useRealTimers();
    }
  });

  it("tells it also where another has come in its place meanwhile", async () => {
    const { shared, make, send, join, connections } = setUp();
    const a = join("a", { roots: {} });
    await send(a, { method: "logging/setLevel", params: { level: "debug" }, tool: undefined });
    const next = make(shared);
    const used = callOf({ caller: a });
    await next.ready(used);
    await next.handle(used);
    await vi.waitFor(() =>
      expect(connections.at(-1)?.calls.map(({ params }) => params["level"])).toContain("debug"),
    );
  });

  it("serves a client whose log level it does not take", async () => {
    const { send, where, join } = setUp({ levels: false });
    const a = join("a", { roots: {} });
    const setLevel = { method: "logging/setLevel", params: { level: "debug" }, tool: undefined };
    await outcomeOf(send(a, setLevel));
    expect(await where(a)).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
  });

  it("closes all connections with itself", async () => {
    const { where, join, joinOnce, shared, connections } = setUp();
    await where(join("c", {}));
    await where(join("a", { roots: {} }));
    await where(joinOnce("once", { roots: {} }));
    await shared.close();
    expect(connections.map(({ closed }) => closed)).toEqual([true, true, true]);
  });
});

describe("a log message", () => {
  const told = async (callers: (around: ReturnType<typeof setUp>) => Caller[]) => {
    const around = setUp({ asks: false });
    const sending = callers(around).map((caller) => around.send(caller, wait));
    await around.send(stdio);
    around.connections[0]?.notify("notifications/message", { level: "info" });
    around.connections[0]?.finish();
    await Promise.all(sending);
    return (caller: Caller): boolean => around.notes[0]?.isFor?.(caller) ?? true;
  };

  it("is for the one that has calls under way", async () => {
    let [a, b] = [stdio, stdio];
    const isFor = await told(({ join }) => {
      [a, b] = [join("a", {}), join("b", {})];
      return [a, a];
    });
    expect([isFor(a), isFor(b)]).toEqual([true, false]);
  });

  it("is for all of a principal where several of it have, and for nobody where principals differ", async () => {
    let [a, b, c] = [stdio, stdio, stdio];
    const same = await told(({ join }) => {
      [a, b, c] = [join("a", {}, "p"), join("b", {}, "p"), join("c", {}, "q")];
      return [a, b];
    });
    expect([a, b, c].map((caller) => same(caller))).toEqual([true, true, false]);
    const different = await told(({ join }) => {
      [a, b, c] = [join("a", {}, "p"), join("b", {}, "p"), join("c", {}, "q")];
      return [a, c];
    });
    expect([a, b, c].map((caller) => different(caller))).toEqual([false, false, false]);
  });

  it("is for the one whose call it came with, where that shows", async () => {
    const { send, join, connections, notes } = setUp({ asks: false });
    const [a, b] = [join("a", {}), join("b", {})];
    const sending = [send(a, wait), send(b, wait)];
    await send(stdio);
    connections[0]?.notify("notifications/message", {}, b);
    connections[0]?.notify("notifications/resources/updated", {}, b);
    connections[0]?.finish();
    await Promise.all(sending);
    expect([notes[0]?.isFor?.(a), notes[0]?.isFor?.(b)]).toEqual([false, true]);
    // This is for whoever has subscribed.
    expect(notes[1]?.isFor).toBeUndefined();
  });

  it("is for everybody where nobody has any", async () => {
    const isFor = await told(() => []);
    expect(isFor(stdio)).toBe(true);
  });

  it("of a client's own connection is for that one", async () => {
    const { where, join, connections, notes } = setUp();
    const [a, b] = [join("a", { roots: {} }), join("b", {})];
    await where(a);
    connections[0]?.notify("notifications/message", {});
    expect([notes[0]?.isFor?.(a), notes[0]?.isFor?.(b)]).toEqual([true, false]);
  });
});

describe("a client without a session", () => {
  it("has a connection for itself while its call is under way", async () => {
    const { send, where, joinOnce, connections } = setUp();
    const roots = { roots: {} };
    const first = send(joinOnce("1", roots), wait);
    await vi.waitFor(() => expect(connections[0]?.calls).toHaveLength(1));
    expect(await where(joinOnce("2", roots))).toBe(1);
    expect(await where(joinOnce("3", roots))).toBe(1);
    connections[0]?.finish();
    expect((await first)["connection"]).toBe(0);
  });

  it("shares one where it cannot be asked", async () => {
    const { where, joinOnce } = setUp();
    expect(await where(joinOnce("1", {}))).toBe(0);
    expect(await where(stdio)).toBe(0);
  });

  it("gets one whose server was told what it can do", async () => {
    const { where, joinOnce, connections } = setUp();
    expect(await where(joinOnce("1", { roots: {} }))).toBe(0);
    expect(await where(joinOnce("2", { sampling: {} }))).toBe(1);
    expect(await where(joinOnce("3", { roots: {} }))).toBe(0);
    expect(await connections[1]?.peer.capabilities).toEqual({ sampling: {} });
  });

  it("leaves no connection behind whose server may still be at a call that was taken back", async () => {
    const { send, where, joinOnce, connections } = setUp();
    const roots = { roots: {} };
    const signal = new Cancel();
    const gone = outcomeOf(send(joinOnce("1", roots), { ...wait, signal }));
    await vi.waitFor(() => expect(connections[0]?.calls).toHaveLength(1));
    signal.cancel(cancelled("enough"));
    expect(await gone).toMatchObject({ message: "enough" });
    expect(connections[0]?.closed).toBe(true);
    expect(await where(joinOnce("2", roots))).toBe(1);
  });

  it("waits where too many are under way, and leaves when its call is taken back", async () => {
    const { send, joinOnce, connections } = setUp();
    const roots = { roots: {} };
    const busy = Array.from({ length: 8 }, (_, n) => send(joinOnce(`${n}`, roots), wait));
    await vi.waitFor(() =>
      expect(connections.map(({ calls }) => calls.length)).toEqual(Array(8).fill(1)),
    );
    const signal = new Cancel();
    const gone = outcomeOf(send(joinOnce("gone", roots), { signal }));
    const late = send(joinOnce("late", roots));
    await Promise.resolve();
    signal.cancel(cancelled("enough"));
    expect(await gone).toMatchObject({ message: "enough" });
    connections[3]?.finish();
    expect((await late)["connection"]).toBe(3);
    for (const { finish } of connections) finish();
    await Promise.all(busy);
    expect(connections).toHaveLength(8);
  });
});

describe("a call that gets no connection in its attempt's time", () => {
  const late = new CallError("timeout", "too late", { outcome: "unknown" });

  it("is told that nothing was done, and not that the server is slow, where all are in use", async () => {
    const { send, joinOnce, connections } = setUp();
    const busy = Array.from({ length: 8 }, (_, n) => send(joinOnce(`${n}`, { roots: {} }), wait));
    await vi.waitFor(() => expect(connections).toHaveLength(8));
    await vi.waitFor(() => expect(connections.every(({ calls }) => calls.length === 1)).toBe(true));
    const signal = new Cancel();
    const outcome = outcomeOf(send(joinOnce("late", { roots: {} }), { signal }));
    await Promise.resolve();
    signal.cancel(late);
    expect(await outcome).toMatchObject({ code: "overloaded", outcome: "failed", local: true });
    for (const { finish } of connections) finish();
    await Promise.all(busy);
  });

  it("is told the same where its connection is still being made", async () => {
    const { shared, joinOnce } = setUp({ gate: () => new Promise(() => {}) });
    const signal = new Cancel();
    const caller = joinOnce("1", { roots: {} });
    const outcome = outcomeOf(shared.handle(callOf({ caller, signal })));
    await new Promise((resolve) => setImmediate(resolve));
    signal.cancel(late);
    expect(await outcome).toMatchObject({ code: "unavailable", outcome: "failed", local: true });
    await shared.close();
  });
});

describe("the one client on a pipe, whose requests each say what it can do", () => {
  it("shares one connection with itself, though its server asks it for things", async () => {
    const { peer, connections, where, joinOnce } = setUp();
    const callers = ["1", "2", "3"].map((key) => joinOnce(key, { roots: {} }, peer));
    expect(await Promise.all(callers.map((caller) => where(caller)))).toEqual([0, 0, 0]);
    expect(connections).toHaveLength(1);
  });
});
