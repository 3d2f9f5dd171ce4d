/*
 * A server of the newer era: each request stands alone, says what its client can do, and is answered, or answered
 * with what is needed first.
 */
import type { Caller, Handle, JsonObject, Lists, Result, ToolDefinition } from "../call.ts";
import { CallError } from "../errors.ts";
import type { Peer } from "../peer.ts";
import { settlesWithin } from "../time.ts";
import { orCancelled } from "../wait.ts";
import { isObject } from "../wire.ts";
import type { Asked } from "./client.ts";
import type { ServerInfo, Session } from "./connection.ts";
import { envelope } from "../era.ts";
import type { Link, Send } from "./link.ts";
import { ListFreshness } from "./list-freshness.ts";
import { listPages } from "./list-pages.ts";
import { Listening } from "./listening.ts";
import { asAnnounced, ModernCalls } from "./modern-calls.ts";
import { Notifications } from "./notifications.ts";
import type { OwnRequests } from "./own-requests.ts";

/** Milliseconds that a server has to agree to tell of changes before its lists are asked for. */
const patience = 1000;
const methodNotFound = -32601;
/** Milliseconds for a list that is fetched for a single call. */
const refetchTimeout = 10_000;

/** What carries the messages. */
export interface Wire {
  readonly send: Send;
  /** Calls, which are answered past the session. */
  readonly calls: Link;
  readonly own: OwnRequests;
  /** Learns from the tools how to call them, and leaves out those that it cannot call. Default: there is nothing to it. */
  readonly learn?: (tools: readonly ToolDefinition[]) => readonly ToolDefinition[];
  /** Tells `listener` from now on what comes. */
  listen(listener: WireListener): void;
}

/** Who is told what comes. */
export interface WireListener {
  /** Takes a message that answers no call. */
  take(message: JsonObject): void;
  /** A request came to nothing; tells of it whoever made it. */
  failed(id: unknown, error: CallError): void;
  /** The wire has ended. */
  end(reason: CallError): void;
}

export interface ModernOptions {
  readonly upstream: string;
  readonly info: ServerInfo;
  readonly wire: Wire;
  readonly asked: Asked;
  readonly problem: (problem: string) => void;
}

/** A session, and the calls in it. */
export interface ModernSession extends Session {
  readonly handle: Handle;
  /** How many calls wait for their answer. */
  inFlight(): number;
  /** Who waits for them. */
  callers(): Iterable<Caller>;
}

/** Uses a server that has been discovered; within a second or so. */
export async function openModern(options: ModernOptions): Promise<ModernSession> {
  const { upstream, info, wire, asked, problem } = options;
  const { own, calls } = wire;
  const { capabilities } = info;
  const meta = envelope(asAnnounced(await asked.peer.capabilities));
  const notifications = new Notifications();
  const listening = new Listening({
    upstream,
    send: wire.send,
    meta,
    tell: (method, params) => notifications.tell(method, params),
    problem,
  });
  const request = (method: string, params: JsonObject, timeoutMs: number): Promise<Result> =>
    own.ask(method, { ...params, _meta: meta }, timeoutMs);
  const levels = new Levels();
  const freshness = new ListFreshness();

  /** What the older era asks of a server once, and this one says otherwise. */
  const changed = (
    method: string,
    { uri, level }: JsonObject,
    caller?: Caller,
  ): Promise<Result> | undefined => {
    if (method === "resources/subscribe") return listening.watch(String(uri)).then(nothing);
    if (method === "resources/unsubscribe") return listening.unwatch(String(uri)).then(nothing);
    if (method !== "logging/setLevel") return undefined;
    levels.set(caller && asked.peers.of(caller), level);
    return Promise.resolve({});
  };

  const list = async <Name extends keyof Lists>(
    name: Name,
    limit: number,
  ): Promise<Lists[Name]> => {
    freshness.begin(name);
    const items = await listPages(name, capabilities, async (method, params) => {
      const page = await request(method, params, limit).catch(unlessUnknown);
      if (page !== undefined) freshness.page(name, page);
      return page;
    });
    if (name !== "tools" || wire.learn === undefined) return items;
    // oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- the compiler wants it
    return wire.learn(items as Lists["tools"]) as Lists[Name];
  };

  const clients = new ModernCalls({
    calls,
    asked,
    levelOf: (peer) => levels.of(peer),
    async relearn() {
      if (wire.learn !== undefined) await list("tools", refetchTimeout);
      return wire.learn !== undefined;
    },
  });

  wire.listen({
    take(message) {
      const { id, method, params, ...rest } = message;
      if (method === undefined) {
        const error = rpcError(upstream, rest["error"]);
        if (!own.receive({ id, ...rest })) listening.ended(id, error);
      } else if (id === undefined && typeof method === "string") {
        const given = isObject(params) ? params : {};
        if (!listening.take(method, given))
          notifications.tell(method, given, calls.aboutOf(message));
      }
    },
    failed(id, error) {
      const isCall = typeof id === "number" && (calls.fail(id, error) || own.fail(id, error));
      if (!isCall) listening.ended(id, error);
    },
    end(reason) {
      own.end(reason);
      listening.close();
    },
  });
  await settlesWithin(listening.toLists(capabilities), patience);
  return {
    info,
    list,
    freshness: (name) => freshness.of(name),
    handle(call) {
      const done = changed(call.method, call.params, call.caller);
      return done === undefined ? clients.handle(call) : orCancelled(done, call.signal);
    },
    inFlight: () => clients.inFlight,
    callers: () => calls.callers(),
    // There is no ping: that it answers at all is what counts.
    ping: async (limit) => {
      await request("server/discover", {}, limit).catch((error: unknown) => {
        if (!(error instanceof CallError) || error.rpc === undefined) throw error;
      });
    },
    async request(method, params, limit) {
      const done = changed(method, params);
      if (done === undefined) return request(method, params, limit);
      if (await settlesWithin(done, limit)) return done;
      const late = `${upstream} did not agree to ${method} within ${Math.round(limit)} ms`;
      throw new CallError("timeout", late, { outcome: "unknown", upstream });
    },
    // Nothing that a client tells a server of the older era has a place in this one.
    notify: () => {},
    onNotification: (listener) => notifications.listen(listener),
  };
}

const nothing = (): Result => ({});

function unlessUnknown(error: unknown): undefined {
  if (!(error instanceof CallError) || error.rpc?.code !== methodNotFound) throw error;
}

function rpcError(upstream: string, error: unknown): CallError | undefined {
  if (!isObject(error)) return undefined;
  const message = String(error["message"]);
  const rpc = { code: Number(error["code"]), message };
  return new CallError("upstream_error", message, { outcome: "answered", upstream, rpc });
}

/** The log levels that clients have set, which each of their requests is to say. */
class Levels {
  readonly #ofPeers = new WeakMap<Peer, unknown>();
  /** Of clients that have set none, and of those that are not known to be one. */
  #last: unknown;

  set(peer: Peer | undefined, level: unknown): void {
    this.#last = level;
    if (peer !== undefined) this.#ofPeers.set(peer, level);
  }

  of(peer: Peer | undefined): unknown {
    // A client of this era says it with each request, or wants none.
    if (peer?.isRequest === true) return undefined;
    return (peer && this.#ofPeers.get(peer)) ?? this.#last;
  }
}
