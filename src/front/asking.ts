import type { JsonObject, Result } from "../call.ts";
import type { Gateway } from "../gateway.ts";
import { isObject } from "../wire.ts";

/** Sends a request of a server to the client; rejects with its error. */
type Send = (
  upstream: string,
  method: string,
  params: JsonObject,
  signal: AbortSignal,
) => Promise<Result>;

/** What servers ask of one client, and the progress that it tells of that. */
export class Asking {
  readonly #gateway: Gateway;
  readonly #session: string;
  readonly #send: Send;
  /** Whose progress token one of ours stands for. */
  readonly #tokens = new Map<string, { readonly upstream: string; readonly token: unknown }>();
  #count = 0;

  constructor(gateway: Gateway, session: string, send: Send) {
    this.#gateway = gateway;
    this.#session = session;
    this.#send = send;
  }

  /** Asks on behalf of an upstream. Servers choose their own progress tokens, so the client is given one of ours. */
  readonly ask = async (
    upstream: string,
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<Result> => {
    const meta = isObject(params["_meta"]) ? params["_meta"] : {};
    const token = meta["progressToken"];
    if (token === undefined) return this.#send(upstream, method, params, signal);
    const own = `holdfast-${++this.#count}`;
    this.#tokens.set(own, { upstream, token });
    try {
      return await this.#send(
        upstream,
        method,
        { ...params, _meta: { ...meta, progressToken: own } },
        signal,
      );
    } finally {
      this.#tokens.delete(own);
    }
  };

  /** Passes a progress note of the client to the server that it is for, if there is one. */
  passProgress(params: unknown): void {
    if (!isObject(params)) return;
    const token = params["progressToken"];
    const owner = typeof token === "string" ? this.#tokens.get(token) : undefined;
    if (owner === undefined) return;
    const note = { ...params, progressToken: owner.token };
    this.#gateway.notify(owner.upstream, "notifications/progress", note, this.#session);
  }
}
