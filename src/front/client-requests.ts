import type { JsonObject, Result } from "../call.ts";
import { messageOf } from "../errors.ts";
import { isObject } from "../wire.ts";
import type { RequestId } from "./exchange.ts";

/** Sends a message, and which request of the client it belongs to, if any. Throws where it cannot be written. */
type Send = (message: JsonObject, about?: RequestId) => void;

interface Pending {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Requests to one client. A person may have to answer, so each waits as long as it takes. */
export class ClientRequests {
  readonly #send: Send;
  readonly #pending = new Map<unknown, Pending>();
  #next = 0;

  constructor(send: Send) {
    this.#send = send;
  }

  /** Resolves with the client's result; rejects with its error, or with the reason of `signal`. */
  ask(method: string, params: JsonObject, signal: AbortSignal, about?: RequestId): Promise<Result> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#send({ jsonrpc: "2.0", id, method, params }, about);
      this.#pending.set(id, { resolve, reject });
      const takeBack = (): void => {
        if (!this.#pending.delete(id)) return;
        const note = { requestId: id, reason: messageOf(signal.reason) };
        this.#send({ jsonrpc: "2.0", method: "notifications/cancelled", params: note }, about);
        reject(signal.reason);
      };
      signal.addEventListener("abort", takeBack, { once: true });
    });
  }

  /** Takes an answer of the client. */
  receive({ id, result, error }: JsonObject): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    if (isObject(result)) pending.resolve(result);
    else pending.reject(isObject(error) ? asError(error) : new Error("the client gave no answer"));
  }

  /** Rejects all that wait. */
  end(reason: Error): void {
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }
}

const asError = ({ code, message, data }: JsonObject): Error =>
  Object.assign(new Error(String(message)), { code, data });
