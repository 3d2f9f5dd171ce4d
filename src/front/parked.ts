import { createHash, randomBytes } from "node:crypto";
import type { JsonObject } from "../call.ts";
import { canonical } from "../canonical.ts";
import { after, type Timer } from "../time.ts";

/** Milliseconds that a client has to repeat its request with what it was asked for: a person may have to answer. */
const patience = 600_000;
/** Requests of one client that may wait for its answers at the same time. */
const mostParked = 1000;

/** Tells a state of ours from that of a server. */
const ours = "holdfast:";
const stateBytes = 24;

/** A request that waits for its client. */
export interface Waiting {
  readonly method: string;
  readonly params: JsonObject;
  /** Where it is. */
  readonly route?: { readonly upstream: string } | undefined;
  /** The client did not come back. */
  expire(): void;
}

interface Place<Request> {
  readonly request: Request;
  readonly digest: string;
  readonly timer: Timer;
}

/** The requests of one client that wait for its answers, by a state that cannot be guessed and is good for once. */
export class Parked<Request extends Waiting> {
  readonly #places = new Map<string, Place<Request>>();
  readonly #mostAtServer: number;
  readonly #neighbours: Set<Parked<Request>>;

  /**
   * At most `mostAtServer` wait at one server, with those of the neighbours, among whom this is then. For one more,
   * who has waited longest has to begin anew, of the client that has most of them there.
   */
  constructor(mostAtServer: number, neighbours = new Set<Parked<Request>>()) {
    this.#mostAtServer = mostAtServer;
    this.#neighbours = neighbours.add(this);
  }

  /** Answers the state under which the request is found again; undefined where there is no room for it. */
  keep(request: Request): string | undefined {
    if (this.#places.size >= mostParked) return undefined;
    const digest = digestOf(request.method, request.params);
    if (digest === undefined) return undefined;
    this.#makeRoom(request.route?.upstream);
    const state = `${ours}${randomBytes(stateBytes).toString("base64url")}`;
    const timer = after(patience, () => {
      this.#places.delete(state);
      request.expire();
    });
    this.#places.set(state, { request, digest, timer });
    return state;
  }

  /** The request of that state which is repeated with the same parameters; undefined where there is none. */
  take(state: string, method: string, params: JsonObject): Request | undefined {
    const place = this.#places.get(state);
    if (place === undefined || place.digest !== digestOf(method, params)) return undefined;
    this.#places.delete(state);
    place.timer.clear();
    return place.request;
  }

  /** Whether a state is one that was given here, or pretends to be. */
  static owns(state: unknown): state is string {
    return typeof state === "string" && state.startsWith(ours);
  }

  #makeRoom(upstream: string | undefined): void {
    let total = 0;
    let fuller: Parked<Request> | undefined;
    let most = this.#at(upstream).length;
    for (const parked of this.#neighbours) {
      const { length } = parked.#at(upstream);
      total += length;
      if (length <= most) continue;
      most = length;
      fuller = parked;
    }
    const fullest = fuller ?? this;
    if (total >= this.#mostAtServer) fullest.#dropOldest(upstream);
  }

  #dropOldest(upstream: string | undefined): void {
    const [oldest] = this.#at(upstream);
    if (oldest === undefined) return;
    const [state, { timer, request }] = oldest;
    this.#places.delete(state);
    timer.clear();
    request.expire();
  }

  /** Those at one server, the oldest first. */
  #at(upstream: string | undefined): [string, Place<Request>][] {
    return [...this.#places].filter(([, { request }]) => request.route?.upstream === upstream);
  }

  close(): void {
    for (const { timer, request } of this.#places.values()) {
      timer.clear();
      request.expire();
    }
    this.#places.clear();
    this.#neighbours.delete(this);
  }
}

/** Undefined where the parameters are nested too deep. */
function digestOf(method: string, params: JsonObject): string | undefined {
  const { _meta, inputResponses: _responses, requestState: _state, task: _task, ...own } = params;
  try {
    return createHash("sha256")
      .update(canonical([method, own]))
      .digest("base64");
  } catch {
    return undefined;
  }
}
