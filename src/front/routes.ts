import { LRUCache } from "lru-cache";
import type { JsonObject, Result, Tool } from "../call.ts";
import type { RpcError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { isObject, toJson } from "../wire.ts";

/** Where a request goes, and its parameters as that upstream knows them. */
export interface Route {
  readonly upstream: string;
  readonly params: JsonObject;
  readonly tool?: Tool;
}

/** A resource of an upstream, and the URI under which the client subscribed to it. */
interface Subscription {
  readonly upstream: string;
  readonly uri: string;
  readonly clientUri: string;
}

/** Links and tasks that one session remembers; the oldest is forgotten first. */
const mostRemembered = 10_000;

/** What Holdfast itself offers: large results that it keeps, and events by type, which unlike a URI has no colon. */
const ownResources = /^holdfast:\/\/(results\/|events\/[\w.-]+$)/;

const invalidParams = -32602;
const resourceNotFound = -32002;

/** The methods that servers answer. */
const relayed = new Set([
  "tools/call",
  "prompts/get",
  "resources/read",
  "resources/subscribe",
  "resources/unsubscribe",
  "completion/complete",
  "tasks/get",
  "tasks/result",
  "tasks/cancel",
]);

export const isRelayed = (method: string): boolean => relayed.has(method);

/** Finds the server of each request of one client, by names, URIs and what earlier answers named. */
export class Routes {
  readonly #gateway: Gateway;
  /** Who sent a link to a resource, by URI. */
  readonly #links = new LRUCache<string, string>({ max: mostRemembered });
  /** Who runs a task, by its id. */
  readonly #tasks = new LRUCache<string, string>({ max: mostRemembered });
  readonly #subscriptions = new Map<string, Subscription>();

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  /**
   * The places to ask by a method that is relayed, the best first. `late` says that there is no use in waiting
   * for the lists of more servers.
   */
  find(method: string, params: JsonObject, late: boolean): Route[] | RpcError {
    switch (method) {
      case "tools/call":
        return this.#tool(params, late);
      case "prompts/get":
        return this.#prompt(params);
      case "resources/read":
      case "resources/subscribe":
      case "resources/unsubscribe":
        return this.#resource(params);
      case "completion/complete":
        return this.#completion(params);
      default:
        return this.#task(params);
    }
  }

  /** Remembers what an answer names, and what it settles. */
  learn(method: string, route: Route, result: Result): void {
    const { upstream } = route;
    if (method === "tools/call") this.#learnFrom(result, upstream);
    else if (method === "resources/unsubscribe")
      this.#subscriptions.delete(keyOf(upstream, String(route.params["uri"])));
    else if (method === "tasks/list" && Array.isArray(result["tasks"]))
      for (const task of result["tasks"]) this.#learnTask(task, upstream);
  }

  /** Notes a subscription before it is asked for: an update may come before the answer. Answers how to forget it. */
  subscribe({ uri: clientUri }: JsonObject, { upstream, params }: Route): () => void {
    const uri = String(params["uri"]);
    const key = keyOf(upstream, uri);
    const before = this.#subscriptions.get(key);
    this.#subscriptions.set(key, { upstream, uri, clientUri: String(clientUri) });
    return () => {
      if (before === undefined) this.#subscriptions.delete(key);
      else this.#subscriptions.set(key, before);
    };
  }

  /** The client's URI for a resource of an upstream that it subscribed to, itself or what it is a part of. */
  subscribedAs(upstream: string, uri: unknown): string | undefined {
    if (typeof uri !== "string") return undefined;
    const whole = this.#subscriptions.get(keyOf(upstream, uri));
    if (whole !== undefined) return whole.clientUri;
    for (const one of this.#subscriptions.values())
      if (one.upstream === upstream && isPart(uri, one.uri))
        return `${one.clientUri}${uri.slice(one.uri.length)}`;
    return undefined;
  }

  #tool(params: JsonObject, late: boolean): Route[] | RpcError {
    const { name } = params;
    if (typeof name !== "string") return wrong("expected params.name to be a string");
    const tool = this.#gateway.findTool(name, late);
    if (tool === undefined) return wrong(`Unknown tool: ${name}`);
    return [{ upstream: tool.upstream, tool, params: { ...params, name: tool.remoteName } }];
  }

  #prompt(params: JsonObject): Route[] | RpcError {
    const { name } = params;
    if (typeof name !== "string") return wrong("expected params.name to be a string");
    const prompt = this.#gateway.catalog.prompts.get(name);
    if (prompt === undefined) return wrong(`Unknown prompt: ${name}`);
    return [{ upstream: prompt.upstream, params: { ...params, name: prompt.remoteName } }];
  }

  /** A link's sender first, then who lists the URI or a template of it, else all that have resources. */
  #resource(params: JsonObject): Route[] | RpcError {
    const { uri } = params;
    if (typeof uri !== "string") return wrong("expected params.uri to be a string");
    if (ownResources.test(uri)) return [{ upstream: "holdfast", params }];
    const sender = this.#links.get(uri);
    const places = this.#gateway.catalog.locate(uri);
    if (sender !== undefined) places.unshift({ upstream: sender, uri });
    const known = new Map(this.#gateway.upstreams.map((upstream) => [upstream.name, upstream]));
    const found = places.filter(({ upstream }) => known.has(upstream));
    const all = [...known.values()].flatMap((upstream) =>
      upstream.can("resources") ? { upstream: upstream.name, uri } : [],
    );
    const routes = (found.length > 0 ? found : all).map((place) => ({
      upstream: place.upstream,
      params: { ...params, uri: place.uri },
    }));
    if (routes.length > 0) return routes;
    return { code: resourceNotFound, message: `Resource not found: ${uri}`, data: { uri } };
  }

  #completion(params: JsonObject): Route[] | RpcError {
    const { ref } = params;
    if (!isObject(ref)) return wrong("expected params.ref to be an object");
    const found = ref["type"] === "ref/prompt" ? this.#prompt(ref) : this.#resource(ref);
    if (!Array.isArray(found)) return found;
    return found.map((route) => ({ ...route, params: { ...params, ref: route.params } }));
  }

  #task(params: JsonObject): Route[] | RpcError {
    const { taskId } = params;
    const upstream = typeof taskId === "string" ? this.#tasks.get(taskId) : undefined;
    if (upstream === undefined) return wrong(`Unknown task: ${String(toJson(taskId))}`);
    return [{ upstream, params }];
  }

  #learnFrom({ content, task }: Result, upstream: string): void {
    if (task !== undefined) this.#learnTask(task, upstream);
    if (!Array.isArray(content)) return;
    for (const block of content)
      if (isObject(block) && block["type"] === "resource_link" && typeof block["uri"] === "string")
        this.#links.set(block["uri"], upstream);
  }

  #learnTask(task: unknown, upstream: string): void {
    if (isObject(task) && typeof task["taskId"] === "string")
      this.#tasks.set(task["taskId"], upstream);
  }
}

const wrong = (message: string): RpcError => ({ code: invalidParams, message });

const keyOf = (upstream: string, uri: string): string => JSON.stringify([upstream, uri]);

/** Whether a URI is under another, as `file:///a/b`, `file:///a?b` and `file:///a#b` are under `file:///a`. */
const isPart = (uri: string, whole: string): boolean =>
  uri.startsWith(whole) && (whole.endsWith("/") || /^[/?#]/.test(uri.slice(whole.length)));
