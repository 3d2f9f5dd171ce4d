import type { Caller, JsonObject } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { metaKeys } from "../era.ts";
import { asCallError, type CallError, type RpcError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { settlesWithin } from "../time.ts";
import { isObject, toJson } from "../wire.ts";
import type { Exchange } from "./exchange.ts";
import type { ListMethod, ListTexts } from "./list-texts.ts";
import { ListView } from "./list-view.ts";
import type { Routes } from "./routes.ts";
import { endedLine } from "./stateless-answers.ts";
import { wrong } from "./stateless-meta.ts";
import { Subscribed } from "./subscribed.ts";

/** Milliseconds that servers get to take the subscriptions that a client is told of. */
const patience = 5000;

/** Resources that one listener may subscribe to: each is asked for at its server. */
const mostUris = 1000;

/** The lists whose changes a client can listen to, by what it asks for. */
const listsOf = {
  toolsListChanged: ["tools/list"],
  promptsListChanged: ["prompts/list"],
  resourcesListChanged: ["resources/list", "resources/templates/list"],
} as const satisfies Record<string, readonly ListMethod[]>;

/** What a client wants to be told. */
export interface Wanted {
  readonly lists: readonly (keyof typeof listsOf)[];
  readonly uris: readonly string[];
}

/** Reads what a request to listen asks for. */
export function readWanted({ notifications }: JsonObject): Wanted | RpcError {
  if (!isObject(notifications)) return wrong("expected params.notifications to be an object");
  const lists = (Object.keys(listsOf) as (keyof typeof listsOf)[]).filter(
    (name) => notifications[name] === true,
  );
  const uris = notifications["resourceSubscriptions"] ?? [];
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === "string"))
    return wrong("expected resourceSubscriptions to be a list of strings");
  if (uris.length > mostUris) return wrong(`at most ${mostUris} resourceSubscriptions are taken`);
  return { lists, uris: [...new Set(uris)] };
}

/** What listeners of one client have in common. */
export interface Ears {
  readonly gateway: Gateway;
  /** Resolves when as many upstreams as can be waited for have told their lists. */
  readonly listed: () => Promise<void>;
  readonly routes: Routes;
  readonly texts: ListTexts;
  readonly onProblem: (problem: string) => void;
}

/** A client that listens for changes, until it or we end that. */
export class Listener {
  readonly #exchange: Exchange;
  readonly caller: Caller;
  readonly #ears: Ears;
  readonly #lists: ListView;
  readonly #subscribed = new Subscribed();
  /** What came before the client was told that it is heard. */
  #early: [method: string, params: JsonObject][] | undefined = [];
  #ended = false;

  /** Servers tell those apart who listen by the session of `caller`. */
  constructor(exchange: Exchange, caller: Caller, ears: Ears) {
    this.#exchange = exchange;
    this.caller = caller;
    this.#ears = ears;
    this.#lists = new ListView(ears.texts, (method) => this.#tell(method, {}));
  }

  /** Subscribes to what is wanted, and tells the client what of it it will hear. */
  async begin({ lists, uris }: Wanted): Promise<void> {
    for (const list of lists) for (const method of listsOf[list]) this.#lists.text(method);
    const heard = new Set<string>();
    const subscriptions = uris.map(async (uri) => {
      if (await this.#subscribe(uri)) heard.add(uri);
    });
    if (uris.length > 0) await settlesWithin(Promise.all(subscriptions), patience);
    if (this.#ended) return;
    const early = this.#early ?? [];
    this.#early = undefined;
    this.#tell("notifications/subscriptions/acknowledged", {
      notifications: {
        ...Object.fromEntries(lists.map((list) => [list, true])),
        ...(heard.size > 0 && { resourceSubscriptions: uris.filter((uri) => heard.has(uri)) }),
      },
    });
    for (const [method, params] of early) this.#tell(method, params);
  }

  /** The catalog may have changed. */
  changed(): void {
    this.#lists.changed();
  }

  /** A resource of an upstream was updated. */
  updated(upstream: string, params: JsonObject): void {
    const uri = this.#subscribed.as(upstream, params["uri"]);
    if (uri !== undefined) this.#tell("notifications/resources/updated", { ...params, uri });
  }

  /** The client no longer listens. */
  cancel(_reason: CallError): void {
    this.#ended = true;
    this.#lists.close();
    this.#ears.gateway.left(this.caller.session);
  }

  /** Ends it from our side. */
  end(reason: CallError): void {
    this.cancel(reason);
    this.#exchange.answer(endedLine(this.#exchange.id));
  }

  /** Subscribes at the first of the resource's places that takes it. */
  async #subscribe(uri: string): Promise<boolean> {
    const { routes, gateway, listed } = this.#ears;
    const method = "resources/subscribe";
    // Its server may still be connecting.
    await listed();
    const places = routes.find(method, { uri }, true);
    if (!Array.isArray(places) || this.#ended) return false;
    const about = { method, caller: this.caller, signal: new Cancel() };
    for (const { upstream, params } of places) {
      // An update may come before the answer.
      const forget = this.#subscribed.add(upstream, String(params["uri"]), uri);
      try {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        await gateway.send({ ...about, upstream, params });
        // It was ended meanwhile, and the server told of that before it knew.
        if (this.#ended) gateway.left(this.caller.session);
        return true;
      } catch (error) {
        forget();
        if (asCallError(error).rpc === undefined) return false;
      }
    }
    return false;
  }

  #tell(method: string, params: JsonObject): void {
    if (this.#ended) return;
    if (this.#early !== undefined) {
      this.#early.push([method, params]);
      return;
    }
    const meta = isObject(params["_meta"]) ? params["_meta"] : {};
    const marked = { ...params, _meta: { ...meta, [metaKeys.subscriptionId]: this.#exchange.id } };
    const line = toJson({ jsonrpc: "2.0", method, params: marked });
    if (line !== undefined) this.#exchange.note(line);
    else this.#ears.onProblem(`left out ${method}, which is nested too deep to be passed on`);
  }
}
