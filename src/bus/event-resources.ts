import type { Call, Caller, IsFor, JsonObject, Lists, Result, Watcher } from "../call.ts";
import { after, now, type Timer } from "../time.ts";
import type { Bus } from "./bus.ts";
import type { Notice } from "./cloud-event.ts";

const scheme = "holdfast://events/";
const uriPattern = /^holdfast:\/\/events\/([\w.-]{1,128})$/;

/** Types of users that are listed at most; the one that was seen first goes first. */
const mostTypes = 200;
/** Types that clients are told of at most. */
const mostWatched = 1000;
/** Events that a resource gives, the newest. */
const mostEvents = 100;
/** Milliseconds between two updates of a resource, at least, and in which events that come together become one. */
const interval = 1000;
const gather = 50;

/** Types of the gateway's own that are listed once they were seen: what is rare, and for people to know. */
const listedTypes = ["circuit.changed", "budget.alert"];

const template: JsonObject = {
  uriTemplate: `${scheme}{type}`,
  name: "events",
  title: "Events of a type",
  description:
    'The newest events of a type, such as "lead.created" or "circuit.changed", as JSON. Subscribe to be told of new ones.',
  mimeType: "application/json",
};

/** A resource for each type of event, which tells its subscribers of new ones. */
export class EventResources {
  readonly #bus: Bus;
  #watcher: Watcher | undefined;
  /** Types that config names. */
  #configured: readonly string[] = [];
  readonly #seen = new Set<string>();
  /** By type: the sessions that want to be told, and how to stop that. */
  readonly #watched = new Map<string, { sessions: Set<string>; stop: () => void }>();
  readonly #timers = new Map<string, Timer>();
  /** Whose events there are to be told of, by URI; undefined among them: everybody's. */
  readonly #owners = new Map<string, Set<string | undefined>>();
  readonly #toldAt = new Map<string, number>();

  constructor(bus: Bus) {
    this.#bus = bus;
    bus.subscribe({
      types: listedTypes,
      handle: ({ event }) => this.saw(event.type),
    });
  }

  /** Lists these types from now on, whether they were seen or not. */
  configure(types: readonly string[]): void {
    this.#configured = types.filter((type) => uriPattern.test(scheme + type));
    this.#watcher?.changed();
  }

  /** Lists a type from now on. */
  saw(type: string): void {
    if (this.#seen.has(type) || !uriPattern.test(scheme + type)) return;
    this.#seen.add(type);
    for (const first of this.#seen) {
      if (this.#seen.size <= mostTypes) break;
      this.#seen.delete(first);
    }
    this.#watcher?.changed();
  }

  lists(): Pick<Lists, "resources" | "resourceTemplates"> {
    const types = [...new Set([...this.#configured, ...this.#seen])].toSorted();
    return { resources: types.map(resourceOf), resourceTemplates: [template] };
  }

  watch(watcher: Watcher): void {
    this.#watcher = watcher;
  }

  /** The answer to a request for a resource; undefined where it is none of ours. */
  answer({ method, params, caller }: Call): Result | undefined {
    const uri = String(params["uri"]);
    const type = uriPattern.exec(uri)?.[1];
    if (type === undefined) return undefined;
    if (method === "resources/read") return this.#read(uri, type, caller);
    if (method === "resources/subscribe") return this.#subscribe(uri, type, caller);
    if (method === "resources/unsubscribe") return this.#unsubscribe(type, caller);
    return undefined;
  }

  /** A session has ended. */
  left(session: string): void {
    for (const [type, { sessions }] of this.#watched)
      if (sessions.has(session)) this.#unwatch(type, session);
  }

  close(): void {
    for (const timer of this.#timers.values()) timer.clear();
    this.#timers.clear();
    for (const { stop } of this.#watched.values()) stop();
    this.#watched.clear();
  }

  #read(uri: string, type: string, { principal }: Caller): Result {
    const query = { type, since: -Infinity, limit: mostEvents, principal };
    const { events } = this.#bus.history.find(query);
    return { contents: [{ uri, mimeType: "application/json", text: JSON.stringify({ events }) }] };
  }

  #subscribe(uri: string, type: string, { session }: Caller): Result | undefined {
    const watched = this.#watched.get(type);
    if (watched === undefined && this.#watched.size >= mostWatched) return undefined;
    if (watched !== undefined) watched.sessions.add(session);
    else {
      const handle = ({ owner }: Notice): void => this.#tellSoon(uri, owner);
      const stop = this.#bus.subscribe({ types: [type], handle });
      this.#watched.set(type, { sessions: new Set([session]), stop });
    }
    return {};
  }

  #unsubscribe(type: string, { session }: Caller): Result {
    this.#unwatch(type, session);
    return {};
  }

  #unwatch(type: string, session: string): void {
    const watched = this.#watched.get(type);
    watched?.sessions.delete(session);
    if (watched?.sessions.size === 0) {
      watched.stop();
      this.#watched.delete(type);
      this.#toldAt.delete(scheme + type);
    }
  }

  #tellSoon(uri: string, owner: string | undefined): void {
    const owners = this.#owners.get(uri) ?? new Set();
    this.#owners.set(uri, owners.add(owner));
    const isFor: IsFor = ({ principal }) => owners.has(undefined) || owners.has(principal);
    if (this.#timers.has(uri)) return;
    const wait = Math.max(gather, (this.#toldAt.get(uri) ?? -Infinity) + interval - now());
    const tell = (): void => {
      this.#timers.delete(uri);
      this.#toldAt.set(uri, now());
      this.#owners.delete(uri);
      this.#watcher?.notified("notifications/resources/updated", { uri }, isFor);
    };
    this.#timers.set(uri, after(wait, tell));
  }
}

const resourceOf = (type: string): JsonObject => ({
  uri: scheme + type,
  name: `events of ${type}`,
  title: `Events of the type ${type}`,
  mimeType: "application/json",
});
