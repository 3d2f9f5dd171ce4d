import { LRUCache } from "lru-cache";
import type { JsonObject, Result, Tool } from "../call.ts";
import type { RpcError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { isObject, toJson } from "../wire.ts";
import { Subscribed } from "./subscribed.ts";

/** Where a request goes, and its parameters as that upstream knows them. */
export interface Route {
  readonly upstream: string;
  readonly params: JsonObject;
  readonly tool?: Tool;
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
  readonly #subscribed = new Subscribed();

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
        return this.#resource(params, late);
      case "completion/complete":
        return this.#completion(params, late);
      default:
        return this.#task(params);
    }
  }

  /** Remembers what an answer names, and what it settles. */
  learn(method: string, route: Route, result: Result): void {
    const { upstream } = route;
    if (method === "tools/call") this.#learnFrom(result, upstream);
    else if (method === "resources/unsubscribe")
      this.#subscribed.remove(upstream, String(route.params["uri"]));
    else if (method === "tasks/list" && Array.isArray(result["tasks"]))
      for (const task of result["tasks"]) this.#learnTask(task, upstream);
  }

  /** Whether this client was told of a task, so that it is one of its own. */
  knowsTask(id: unknown): boolean {
    return typeof id === "string" && this.#tasks.has(id);
  }

  /** Notes a subscription before it is asked for: an update may come before the answer. Answers how to forget it. */
  subscribe({ uri: clientUri }: JsonObject, { upstream, params }: Route): () => void {
    return this.#subscribed.add(upstream, String(params["uri"]), String(clientUri));
  }

  /** The client's URI for a resource of an upstream that it subscribed to, itself or what it is a part of. */
  subscribedAs(upstream: string, uri: unknown): string | undefined {
    return this.#subscribed.as(upstream, uri);
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

  /** A link's sender first, then who lists the URI or a template of it; when all are known, else all that have resources. */
  #resource(params: JsonObject, late: boolean): Route[] | RpcError {
    const { uri } = params;
    if (typeof uri !== "string") return wrong("expected params.uri to be a string");
    if (ownResources.test(uri)) return [{ upstream: "holdfast", params }];
    const sender = this.#links.get(uri);
    const places = this.#gateway.catalog.locate(uri);
    if (sender !== undefined) places.unshift({ upstream: sender, uri });
    const known = new Map(this.#gateway.upstreams.map((upstream) => [upstream.name, upstream]));
    const found = places.filter(({ upstream }) => known.has(upstream));
    const others = late && found.length === 0 ? [...known.values()] : [];
    const all = others.flatMap((upstream) =>
      upstream.can("resources") ? { upstream: upstream.name, uri } : [],
    );
    const routes = [...found, ...all].map((place) => ({
      upstream: place.upstream,
      params: { ...params, uri: place.uri },
    }));
    if (routes.length > 0) return routes;
    return { code: resourceNotFound, message: `Resource not found: ${uri}`, data: { uri } };
  }

  #completion(params: JsonObject, late: boolean): Route[] | RpcError {
    const { ref } = params;
    if (!isObject(ref)) return wrong("expected params.ref to be an object");
    const found = ref["type"] === "ref/prompt" ? this.#prompt(ref) : this.#resource(ref, late);
    if (!Array.isArray(found)) return found;
    return found.map((route) => ({ ...route, params: { ...params, ref: route.params } }));
  }

  #task(params: JsonObject): Route[] | RpcError {
    const { taskId } = params;
    const upstream = typeof taskId === "string" ? this.#tasks.get(taskId) : undefined;
    if (upstream === undefined) return wrong(`Unknown task: ${String(toJson(taskId))}`);
    return [{ upstream, params }];
  }

  #learnFrom(result: Result, upstream: string): void {
    const { content, task } = result;
    // The earlier era names a new task in a member of its own.
    this.#learnTask(task ?? result, upstream);
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
