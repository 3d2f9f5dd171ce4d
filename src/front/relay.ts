import type { Caller, JsonObject, Progress, Result } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import { asCallError, type CallError, type RpcError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { now } from "../time.ts";
import { failureResult } from "./failure.ts";
import type { Route, Routes } from "./routes.ts";

const internalError = -32603;

/** A request of a client that servers answer. Exactly one of its three ends is told, once. */
export interface Relayed {
  readonly method: string;
  /** With names and URIs as clients know them. */
  readonly params: JsonObject;
  readonly caller: Caller;
  readonly signal: Cancel;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Where it is now, and since when. */
  route?: Route | undefined;
  begun?: number | undefined;
  answered(result: Result): void;
  /** With a result that models read, or an error. */
  failed(told: Told): void;
}

/** How a failure is told to a client. */
export type Told = { readonly result: Result } | { readonly error: RpcError };

/** Brings the requests of one client to the servers that are to answer them. */
export class Relay {
  readonly #gateway: Gateway;
  readonly #routes: Routes;
  readonly #listed: () => Promise<void>;

  /** `listed` resolves when as many upstreams as can be waited for have told their lists. */
  constructor(gateway: Gateway, routes: Routes, listed: () => Promise<void>) {
    this.#gateway = gateway;
    this.#routes = routes;
    this.#listed = listed;
  }

  /** Relays a request to the first of its routes that does not refuse it. */
  send(request: Relayed): void {
    const { method, params, signal } = request;
    const found = this.#routes.find(method, params, false);
    if (Array.isArray(found)) return this.#along(request, found);
    // A client may know a name from an earlier run, and its server may still be connecting.
    void this.#listed().then(() => {
      const late = this.#routes.find(method, params, true);
      if (Array.isArray(late) && signal.reason === undefined) this.#along(request, late);
      else request.failed({ error: found });
    });
  }

  /** How the failure of a request is told to its client. */
  told(error: CallError, { method, route, begun }: Relayed): Told {
    if (error.rpc !== undefined) return { error: error.rpc };
    const tool = route?.tool;
    const failure = failureResult(error, {
      effect: tool?.effect ?? "read",
      elapsedMs: begun === undefined ? 0 : now() - begun,
      alternatives: tool === undefined ? [] : this.#gateway.alternatives(tool),
    });
    return method === "tools/call"
      ? { result: failure }
      : { error: { code: internalError, message: error.message, data: failure["_meta"] } };
  }

  #along(request: Relayed, [route, ...others]: readonly Route[]): void {
    if (route === undefined) return;
    const { method, params, caller, signal, onProgress } = request;
    const { upstream, tool } = route;
    request.route = route;
    const begun = now();
    request.begun = begun;
    const forget =
      method === "resources/subscribe" ? this.#routes.subscribe(params, route) : undefined;
    this.#gateway
      .send({ upstream, method, tool, params: route.params, caller, signal, begun, onProgress })
      .then(
        (result) => {
          this.#routes.learn(method, route, result);
          request.answered(result);
        },
        (thrown: unknown) => {
          forget?.();
          const error = asCallError(thrown);
          const next = error.rpc !== undefined && signal.reason === undefined && others.length > 0;
          if (next) this.#along(request, others);
          else request.failed(this.told(error, request));
        },
      );
  }
}
