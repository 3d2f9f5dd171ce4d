import type {
  Call,
  Caller,
  Freshness,
  IsFor,
  JsonObject,
  Lists,
  Result,
  Upstream,
  Watcher,
} from "../call.ts";
import { Cancel } from "../cancel.ts";
import { clientKey, type Peer, type Peers } from "../peer.ts";
import { implementation } from "../version.ts";
import { LeasePool } from "./lease-pool.ts";
import type { RemoteUpstream } from "./remote.ts";
import { Wishes } from "./wishes.ts";

/** What a client may announce that a server can then ask it for. */
const askable = ["roots", "sampling", "elicitation"];

export interface SharedOptions {
  /** The connection of all, whose lists are those of the server. */
  readonly remote: RemoteUpstream;
  readonly peers: Peers;
  /** Who is asked on that connection where it cannot be told whose call is meant. */
  readonly peer: Peer;
  /** Makes another connection to the same server. */
  readonly open: (peer: Peer, idleStopMs?: number) => RemoteUpstream;
  /** Whether the server is known to ask its client for things. */
  readonly asks: boolean;
  /** In whose place it comes. */
  readonly predecessor?: SharedUpstream | undefined;
}

/**
 * A server that several clients share. One that asks its client for things gets a connection for each client
 * that can be asked, opened at its first call, so that no question goes to the wrong one.
 */
export class SharedUpstream implements Upstream {
  readonly name: string;
  readonly #options: SharedOptions;
  readonly #remote: RemoteUpstream;
  readonly #wishes: Wishes;
  readonly #leases: LeasePool;
  /** The connections of sessions, by what callers know; the shared one where a client cannot be asked. */
  readonly #places = new Map<string, RemoteUpstream>();
  /** The log levels of sessions, for connections that are opened later. */
  readonly #levels: Map<string, Call>;
  readonly #closing = new Set<Promise<void>>();
  #watcher: Watcher | undefined;
  #asks: boolean;
  #closed = false;

  constructor(options: SharedOptions) {
    this.name = options.remote.name;
    this.#options = options;
    this.#remote = options.remote;
    this.#asks = options.asks;
    const { predecessor } = options;
    this.#wishes = predecessor === undefined ? new Wishes() : predecessor.#wishes;
    this.#levels = predecessor === undefined ? new Map() : predecessor.#levels;
    this.#leases = new LeasePool(this.name, (...connection) => this.#open(...connection));
  }

  /** Whether the server asks its client for things. */
  get asks(): boolean {
    return this.#asks;
  }

  /** The server has asked for something. Tells whether that is news. */
  asked(): boolean {
    const isNews = !this.#asks;
    this.#asks = true;
    return isNews;
  }

  lists(): Lists {
    return this.#remote.lists();
  }

  instructions(): string | undefined {
    return this.#remote.instructions();
  }

  can(capability: string): boolean {
    return this.#remote.can(capability);
  }

  freshness(list: keyof Lists): Freshness | undefined {
    return this.#remote.freshness(list);
  }

  watch(watcher: Watcher): void {
    this.#watcher = watcher;
    this.#remote.watch({
      changed: () => watcher.changed(),
      notified: (method, params, isAbout) => this.#notified(method, params, isAbout),
    });
  }

  /** Undefined when a call can go now, else a promise that it can; rejects when that is too far off. */
  ready(call: Call): Promise<void> | undefined {
    const { caller, method } = call;
    const peer = this.#asks && method !== "logging/setLevel" ? this.#peerOf(caller) : undefined;
    if (peer === undefined) return this.#remote.ready(call);
    const place = this.#places.get(clientKey(caller));
    if (place !== undefined) return place.ready(call);
    return peer.capabilities.then(async (capabilities) => {
      if (peer.isRequest === true && canBeAsked(capabilities))
        return this.#leases.ready(call, capabilities);
      await this.#placeOf(caller, peer, capabilities).ready(call);
    });
  }

  readonly handle = (call: Call): Promise<Result> => {
    if (call.method === "logging/setLevel") return this.#setLevel(call);
    if (this.#asks) {
      const place = this.#places.get(clientKey(call.caller));
      if (place !== undefined && place !== this.#remote) return place.handle(call);
      const peer = place === undefined ? this.#peerOf(call.caller) : undefined;
      if (peer?.isRequest === true)
        return peer.capabilities.then((capabilities) =>
          canBeAsked(capabilities) ? this.#leases.handle(call, capabilities) : this.#share(call),
        );
    }
    return this.#share(call);
  };

  /** Whose calls may share answers with this one; undefined: nobody's. */
  scopeOf({ caller }: Call): string | undefined {
    const peer = this.#asks ? this.#peerOf(caller) : undefined;
    if (peer === undefined) return "";
    if (peer.isRequest === true) return undefined;
    const key = clientKey(caller);
    return this.#places.get(key) === this.#remote ? "" : key;
  }

  notify(method: string, params: JsonObject, from?: string): void {
    const place = from === undefined ? undefined : this.#places.get(from);
    (place ?? this.#remote).notify(method, params);
  }

  hold(held: boolean): void {
    this.#remote.hold(held);
    for (const place of this.#places.values()) place.hold(held);
    this.#leases.hold(held);
  }

  left(session: string): void {
    this.#levels.delete(session);
    const place = this.#places.get(session);
    this.#places.delete(session);
    if (place !== undefined && place !== this.#remote) this.#close(place);
    this.#wishes.left(session, (method, params) => {
      const caller = { principal: "local", session: "", client: implementation.name };
      const deadline = { at: Infinity, max: Infinity };
      const signal = new Cancel();
      const call = { upstream: this.name, method, params, caller, signal, deadline, trace: "" };
      const tell = (): Promise<Result> => this.#remote.handle(call);
      // A subscription would be told to the next connection again, so its end waits for that; a level can stay.
      const told = method === "resources/unsubscribe" ? this.#remote.ready(call) : undefined;
      (told === undefined ? tell() : told.then(tell)).catch(() => {});
    });
  }

  /** How many calls wait for their answer. */
  inFlight(): number {
    let count = this.#remote.inFlight() + this.#leases.inFlight();
    for (const place of this.#places.values())
      if (place !== this.#remote) count += place.inFlight();
    return count;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const place of this.#places.values()) if (place !== this.#remote) this.#close(place);
    await Promise.all([this.#remote.close(), this.#leases.close(), ...this.#closing]);
  }

  #share(call: Call): Promise<Result> {
    return this.#wishes.handle(call, this.#remote.handle);
  }

  /** The client behind a call, where it has a part of its own here. */
  #peerOf(caller: Caller): Peer | undefined {
    const { peers, peer } = this.#options;
    const found = peers.of(caller);
    return found === peer || found?.within === peer ? undefined : found;
  }

  #placeOf(caller: Caller, peer: Peer, capabilities: JsonObject): RemoteUpstream {
    const key = clientKey(caller);
    const found = this.#places.get(key);
    // A session that has gone meanwhile would keep its connection for ever.
    const isThere = this.#options.peers.of(caller) === peer && !this.#closed;
    if (found !== undefined || !isThere) return found ?? this.#remote;
    const place = canBeAsked(capabilities)
      ? this.#open(peer, (other) => clientKey(other) === key)
      : this.#remote;
    if (peer.isRequest !== true) this.#places.set(key, place);
    const level = this.#levels.get(key);
    if (level !== undefined && place !== this.#remote) this.#tell(place, level).catch(() => {});
    return place;
  }

  #open(peer: Peer, isFor: IsFor, idleStopMs?: number): RemoteUpstream {
    const place = this.#options.open(peer, idleStopMs);
    place.watch({
      changed: () => {},
      notified: (method, params) => this.#watcher?.notified(method, params, isFor),
    });
    return place;
  }

  #close(place: RemoteUpstream): void {
    const closing = place.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  /** No connection is opened for it. */
  #setLevel(call: Call): Promise<Result> {
    const key = clientKey(call.caller);
    const peer = this.#peerOf(call.caller);
    if (peer !== undefined && peer.isRequest !== true) this.#levels.set(key, call);
    const place = this.#places.get(key);
    return place === undefined || place === this.#remote ? this.#share(call) : place.handle(call);
  }

  async #tell(place: RemoteUpstream, level: Call): Promise<void> {
    const deadline = { at: Infinity, max: Infinity };
    const call = { ...level, signal: new Cancel(), deadline };
    await place.ready(call);
    await place.handle(call);
  }

  /** A log message goes to those alone whose calls it can be about. */
  #notified(method: string, params: JsonObject, isAbout: IsFor | undefined): void {
    const isFor = method === "notifications/message" ? (isAbout ?? this.#callers()) : undefined;
    this.#watcher?.notified(method, params, isFor);
  }

  /** The one client that has calls under way, or the one principal; everybody where there is none. */
  #callers(): IsFor | undefined {
    const callers = [...this.#remote.callers()];
    const [first] = callers;
    if (first === undefined) return undefined;
    const only = this.#options.peers.only(callers);
    const isOne = callers.every((caller) => caller.principal === first.principal);
    return (caller) =>
      only === undefined
        ? isOne && caller.principal === first.principal
        : this.#options.peers.of(caller) === only;
  }
}

const canBeAsked = (capabilities: JsonObject): boolean =>
  askable.some((name) => capabilities[name] !== undefined);
