import type { JsonObject } from "../call.ts";
import type { Gateway } from "../gateway.ts";
import { isStateless } from "../era.ts";
import { KeyTable } from "../key-table.ts";
import { isObject } from "../wire.ts";
import { Exchange, takenBack, type RequestId } from "./exchange.ts";
import type { Stateless, StatelessOptions } from "./stateless.ts";

/** The requests without a session of a client on stdio. What they need is loaded with the first of them. */
export class StatelessStdio {
  readonly #load: () => Promise<Stateless>;
  readonly #write: (line: string) => void;
  readonly #open = new KeyTable<RequestId, Exchange>();
  /** What came until it was loaded. */
  #early: (() => void)[] | undefined;
  #stateless: Stateless | undefined;
  #closed = false;

  constructor(gateway: Gateway, options: StatelessOptions, write: (line: string) => void) {
    this.#write = write;
    this.#load = async () => {
      const { Stateless: Loaded } = await import("./stateless.ts");
      return new Loaded(gateway, options);
    };
  }

  /** Takes a message that is of this era; tells whether it is. */
  take(message: JsonObject): boolean {
    const { id, method, params } = message;
    if (method === "notifications/cancelled") return this.#cancel(params);
    if ((typeof id !== "string" && typeof id !== "number") || !isStateless(message)) return false;
    const exchange = new Exchange(id, this.#send);
    this.#open.add(id, exchange);
    if (this.#stateless !== undefined) this.#stateless.take(message, exchange);
    else
      this.#wait(() => {
        if (exchange.isOpen) this.#stateless?.take(message, exchange);
      });
    return true;
  }

  get inFlight(): number {
    return (this.#stateless?.inFlight ?? 0) + (this.#early?.length ?? 0);
  }

  close(): void {
    this.#closed = true;
    this.#early = undefined;
    this.#stateless?.close();
  }

  readonly #send = (exchange: Exchange, line: string, last: boolean): void => {
    if (last) this.#open.remove(exchange.id, exchange);
    this.#write(line);
  };

  #wait(take: () => void): void {
    if (this.#early !== undefined) {
      this.#early.push(take);
      return;
    }
    this.#early = [take];
    void this.#load().then((stateless) => {
      if (this.#closed) return stateless.close();
      this.#stateless = stateless;
      const early = this.#early ?? [];
      this.#early = undefined;
      for (const run of early) run();
    });
  }

  #cancel(params: unknown): boolean {
    if (!isObject(params)) return false;
    const id = params["requestId"] as RequestId;
    const exchange = this.#open.get(id);
    if (exchange === undefined) return false;
    this.#open.remove(id, exchange);
    const { reason } = params;
    exchange.cancel(takenBack(reason));
    return true;
  }
}
