import type { Caller, Freshness, IsFor, JsonObject, Lists, Result } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { appsExtension, modernErrors, tasksExtension } from "../era.ts";
import { asCallError, cancelled, disconnected, type RpcError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { KeyTable } from "../key-table.ts";
import { logLevels, underName } from "../log-levels.ts";
import { clientKey, type Peer, type Peers, type PeerSlot } from "../peer.ts";
import { isAble, notAble } from "../questions.ts";
import { errorLine, isObject } from "../wire.ts";
import { mustBeTask } from "./early-tasks.ts";
import type { Exchange } from "./exchange.ts";
import { isListMethod, ListTexts, memberOf, type ListMethod } from "./list-texts.ts";
import { Listener, readWanted } from "./listener.ts";
import { commonCapabilities, instructionsOf } from "./offer.ts";
import { Parked } from "./parked.ts";
import { Relay } from "./relay.ts";
import { Routes } from "./routes.ts";
import { freshnessOf, listLine, ownLine, stale } from "./stateless-answers.ts";
import { readMeta, statelessVersions, wrong, type RequestMeta } from "./stateless-meta.ts";
import { StatelessRequest, type Home } from "./stateless-request.ts";

const methodNotFound = -32601;
const internalError = -32603;

/** The methods that servers answer. */
const relayed = new Set([
  "tools/call",
  "prompts/get",
  "resources/read",
  "completion/complete",
  "tasks/get",
  "tasks/update",
  "tasks/cancel",
]);

/** Where calls have connections of their own, these are held by those that wait for their clients: fewer than there are. */
const mostParkedAtServer = 6;
/** Listeners, and questions of servers outside of any request, that one client may have. */
const mostListeners = 1000;
const mostWaiting = 100;

/** What is needed to serve a client besides the gateway. */
export interface StatelessOptions {
  readonly principal: string;
  /** Whom kept results, runs and budgets belong to beside the principal. */
  readonly session: string;
  /** Resolves when as many upstreams as can be waited for have told their lists. */
  readonly listed: () => Promise<void>;
  readonly peers: Peers;
  /** Where the servers find this client outside of its requests. */
  readonly slot?: PeerSlot;
  /** The requests that wait of all clients whose calls share connections of their own to servers. */
  readonly neighbours?: Set<Parked<StatelessRequest>>;
  /** Told what of a server's cannot be passed on. */
  readonly onProblem: (problem: string) => void;
  readonly refuses?: Home["refuses"];
}

/** A request under way. */
interface Running {
  readonly request: StatelessRequest;
  /** Takes it from among the peers. */
  readonly leave: () => void;
}

/** A question of a server while no request was under way that could be answered with it. */
interface Waiting {
  readonly upstream: string;
  readonly method: string;
  readonly params: JsonObject;
  readonly give: (request: StatelessRequest) => void;
}

/**
 * One client of the era without sessions (2026-07-28): a principal, or the other end of a pipe. What is kept of it
 * is named in its requests: questions that wait for its answers, tasks, and those who listen.
 */
export class Stateless implements Home {
  readonly relay: Relay;
  readonly parked: Parked<StatelessRequest>;
  readonly onProblem: (problem: string) => void;
  readonly refuses: Home["refuses"];
  readonly peer: Peer | undefined;
  readonly gateway: Gateway;
  readonly #options: StatelessOptions;
  readonly #routes: Routes;
  readonly #texts: ListTexts;
  /** By the names that they have among the peers. */
  readonly #running = new KeyTable<string, Running>();
  readonly #listeners = new Set<Listener>();
  readonly #waiting = new Set<Waiting>();
  readonly #stopWatching: () => void;
  /** The least severe level that each server was told, as an index of the logLevels. */
  readonly #told = new Map<string, number>();
  #count = 0;

  constructor(gateway: Gateway, options: StatelessOptions) {
    this.gateway = gateway;
    this.#options = options;
    this.onProblem = options.onProblem;
    this.refuses = options.refuses;
    this.peer = options.slot;
    const { neighbours } = options;
    this.parked = new Parked(neighbours === undefined ? Infinity : mostParkedAtServer, neighbours);
    this.#routes = new Routes(gateway);
    this.#texts = new ListTexts(gateway, options.onProblem);
    this.relay = new Relay(gateway, this.#routes, options.listed);
    this.#stopWatching = gateway.watch({
      changed: () => {
        for (const listener of this.#listeners) listener.changed();
      },
      notified: (upstream, method, params, isFor = everybody) => {
        if (method === "notifications/message") this.#log(upstream, params, isFor);
        else if (method === "notifications/resources/updated")
          for (const listener of this.#listeners)
            if (isFor(listener.caller)) listener.updated(upstream, params);
      },
    });
  }

  /** Takes a request. */
  take({ method, params }: JsonObject, exchange: Exchange): void {
    const meta = readMeta(params);
    if ("code" in meta) return refuse(exchange, meta, true);
    const given = params as JsonObject;
    given["_meta"] = meta.rest;
    if (method !== "server/discover" || Object.keys(meta.capabilities).length > 0)
      this.#introduce(meta);
    if (typeof method !== "string") refuse(exchange, wrong("expected a method"), true);
    else if (relayed.has(method))
      if (method.startsWith("tasks/") && !takesTasks(meta.capabilities))
        refuse(exchange, needsTasks, true);
      else this.#send(method, given, meta, exchange);
    else if (isListMethod(method)) void this.#list(method, given, exchange);
    else if (method === "server/discover") exchange.answer(this.#discover(exchange));
    else if (method === "subscriptions/listen") this.#listen(given, meta, exchange);
    else refuse(exchange, { code: methodNotFound, message: `Method not found: ${method}` }, true);
  }

  /** How many requests wait for their answer, those that listen not counted. */
  get inFlight(): number {
    let count = 0;
    for (const { request } of this.#running.values()) if (request.isAwaited) count++;
    return count;
  }

  ended(request: StatelessRequest): void {
    const name = clientKey(request.caller);
    const running = this.#running.get(name);
    if (running === undefined) return;
    this.#running.remove(name, running);
    running.leave();
  }

  /** We go, or the client has gone. */
  close(): void {
    this.#stopWatching();
    for (const listener of this.#listeners) listener.end(disconnected);
    this.#listeners.clear();
    for (const { request } of this.#running.values()) request.cancel(disconnected);
    this.parked.close();
  }

  #send(method: string, params: JsonObject, meta: RequestMeta, exchange: Exchange): void {
    // Here the server alone decides what becomes a task.
    if (params["task"] !== undefined) delete params["task"];
    const { requestState } = params;
    if (Parked.owns(requestState)) {
      const request = this.parked.take(requestState, method, params);
      if (request !== undefined) return request.resume(exchange, meta, params["inputResponses"]);
      const why = "requestState is unknown, has expired, or belongs to another request";
      return refuse(exchange, wrong(`${why}: send the request anew`), false);
    }
    if (meta.level !== Infinity) this.#tellLevel(meta);
    if (method === "tools/call" && mustBeTask(this.gateway.findTool(String(params["name"]), false)))
      params["task"] = {};
    const name = `${this.#options.session}#${++this.#count}`;
    const caller = this.#callerOf(meta, name);
    const request = new StatelessRequest({ method, params, caller }, meta, exchange, this);
    this.#running.add(name, { request, leave: this.#options.peers.join(name, request) });
    this.relay.send(request);
    if (this.#waiting.size > 0)
      for (const waiting of this.#waiting)
        if (isAt(request, waiting)) {
          this.#waiting.delete(waiting);
          waiting.give(request);
        }
  }

  async #list(method: ListMethod, { cursor }: JsonObject, exchange: Exchange): Promise<void> {
    if (cursor !== undefined)
      return refuse(exchange, wrong("unknown cursor: lists come whole"), false);
    await this.#options.listed();
    const text = this.#texts.text(method);
    exchange.answer(listLine(exchange.id, text, this.#freshnessOf(memberOf[method])));
  }

  /** Of what those who list something allow the least. */
  #freshnessOf(list: keyof Lists): Freshness {
    const { catalog, upstreams } = this.gateway;
    const owners = new Set<string>();
    for (const { upstream } of catalog[list].values()) owners.add(upstream);
    return freshnessOf(
      upstreams.flatMap((upstream) =>
        owners.has(upstream.name) ? [upstream.freshness?.(list)] : [],
      ),
    );
  }

  #discover({ id }: Exchange): string {
    const { upstreams } = this.gateway;
    const hasTasks = upstreams.some((upstream) => upstream.can(`extensions/${tasksExtension}`));
    const instructions = instructionsOf(this.gateway);
    const members = {
      supportedVersions: statelessVersions,
      capabilities: {
        ...commonCapabilities,
        extensions: { [appsExtension]: {}, ...(hasTasks && { [tasksExtension]: {} }) },
      },
      ...(instructions !== undefined && { instructions }),
      ...stale,
    };
    return ownLine(id, JSON.stringify(members).slice(1, -1));
  }

  #listen(params: JsonObject, meta: RequestMeta, exchange: Exchange): void {
    const wanted = readWanted(params);
    if ("code" in wanted) return refuse(exchange, wanted, false);
    if (this.#listeners.size >= mostListeners)
      return refuse(exchange, { code: internalError, message: "too many subscriptions" }, false);
    const { principal, session, listed } = this.#options;
    const own = `${session}-listener-${++this.#count}`;
    const caller = { principal, session: own, client: meta.client };
    const listener = new Listener(exchange, caller, {
      gateway: this.gateway,
      listed,
      routes: this.#routes,
      texts: this.#texts,
      onProblem: this.onProblem,
    });
    this.#listeners.add(listener);
    exchange.owner = {
      cancel: (reason) => {
        this.#listeners.delete(listener);
        listener.cancel(reason);
      },
    };
    void listener.begin(wanted);
  }

  #callerOf({ client }: RequestMeta, peer?: string): Caller {
    const { principal, session } = this.#options;
    return peer === undefined
      ? { principal, session, client }
      : { principal, session, client, peer };
  }

  /** A log message belongs to the oldest request at that server which wants it. */
  #log(upstream: string, params: JsonObject, isFor: IsFor): void {
    const severity = logLevels.indexOf(params["level"]);
    for (const { request } of this.#running.values()) {
      if (request.route?.upstream !== upstream || request.level > severity) continue;
      if (!isFor(request.caller)) continue;
      return request.note("notifications/message", underName(upstream, params));
    }
  }

  /** Has servers of the earlier era, which are told a level once for all, send what this request wants. */
  #tellLevel(meta: RequestMeta): void {
    const params = { level: logLevels[meta.level] };
    for (const upstream of this.gateway.upstreams) {
      const { name } = upstream;
      if (!upstream.can("logging") || (this.#told.get(name) ?? Infinity) <= meta.level) continue;
      this.#told.set(name, meta.level);
      this.#own(name, "logging/setLevel", params, meta).catch((error: unknown) => {
        // One that could not be told is told with the next request.
        if (asCallError(error).rpc === undefined) this.#told.delete(name);
      });
    }
  }

  #own(upstream: string, method: string, params: JsonObject, meta: RequestMeta): Promise<Result> {
    const caller = this.#callerOf(meta);
    return this.gateway.send({ upstream, method, params, caller, signal: new Cancel() });
  }

  /** Servers of the earlier era are told what the client can do when they are initialised: what its first request says. */
  #introduce({ capabilities }: RequestMeta): void {
    const { slot } = this.#options;
    if (slot === undefined || slot.isIntroduced) return;
    slot.introduce(capabilities, (upstream, method, params, signal) => {
      if (!isAble(capabilities, method, params)) return Promise.reject(notAble(method));
      for (const { request } of this.#running.values())
        if (isAt(request, { upstream, method, params }))
          return request.ask(upstream, method, params, signal);
      return this.#wait(upstream, method, params, signal);
    });
  }

  /** The next request to that server can be answered with the question. */
  #wait(
    upstream: string,
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<Result> {
    if (this.#waiting.size >= mostWaiting)
      return Promise.reject(cancelled("the client is asked too much at once"));
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        upstream,
        method,
        params,
        give: (request) => resolve(request.ask(upstream, method, params, signal)),
      };
      this.#waiting.add(waiting);
      signal.addEventListener("abort", () => {
        if (this.#waiting.delete(waiting)) reject(cancelled("the server took its question back"));
      });
    });
  }
}

const takesTasks = ({ extensions }: JsonObject): boolean =>
  isObject(extensions) && isObject(extensions[tasksExtension]);

const needsTasks: RpcError = {
  code: modernErrors.missingCapability,
  message: `Tasks are for clients that take ${tasksExtension}`,
  data: { requiredCapabilities: { extensions: { [tasksExtension]: {} } } },
};

const everybody: IsFor = () => true;

/** Whether a request is at the server that asks, and can be answered with the question. */
const isAt = (
  request: StatelessRequest,
  { upstream, method, params }: Pick<Waiting, "upstream" | "method" | "params">,
): boolean => request.route?.upstream === upstream && request.canAsk(method, params);

/** `early`: before anything was done, which HTTP tells by its status too. */
const refuse = (exchange: Exchange, error: RpcError, early: boolean): void =>
  exchange.answer(errorLine(exchange.id, error), early ? error.code : undefined);
