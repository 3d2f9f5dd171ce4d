import type { HttpAuth } from "./http-auth.ts";

type Dispatcher = NonNullable<RequestInit["dispatcher"]>;
type DispatcherClass = new (options: { headersTimeout: number; bodyTimeout: number }) => Dispatcher;

/** Where Node keeps the dispatcher of its fetch, once fetch was used. */
const place = Symbol.for("undici.globalDispatcher.1");

/** The platform's fetch with sockets of its own, whose bodies are read when we want. */
export class Fetcher {
  readonly #auth: HttpAuth | undefined;
  #dispatcher: Dispatcher | undefined;
  #held: Promise<void> | undefined;
  #release = (): void => {};

  constructor(auth?: HttpAuth) {
    this.#auth = auth;
  }

  /**
   * Fetches without the 300 s within which Node's fetch wants headers, and then each next chunk: how long a
   * call may take is for its timeouts to say. Redirects are left to the caller. Rejects with a CallError where
   * the server asks for authorisation that is not to be had.
   */
  async fetch(url: string | URL, init: RequestInit): Promise<Response> {
    this.#dispatcher ??= await makeDispatcher();
    return this.#auth === undefined
      ? this.#send(url, init)
      : this.#auth.send(url instanceof URL ? url : new URL(url), init, this.#send);
  }

  readonly #send = (url: string | URL, init: RequestInit): Promise<Response> =>
    fetch(url, {
      ...init,
      redirect: "manual",
      ...(this.#dispatcher !== undefined && { dispatcher: this.#dispatcher }),
    });

  /** Hands a body to `take` chunk by chunk, until it has ended or `take` returns false. Rejects when it breaks. */
  async read({ body }: Response, take: (chunk: Uint8Array) => unknown): Promise<void> {
    if (body === null) return;
    for await (const chunk of body) {
      if (take(chunk as Uint8Array) === false) return;
      if (this.#held !== undefined) await this.#held;
    }
  }

  /** While held, nothing is read. */
  hold(held: boolean): void {
    this.#release();
    this.#held = held ? new Promise((resolve) => (this.#release = resolve)) : undefined;
  }

  /** Ends all connections at once. */
  close(): void {
    this.hold(false);
    void this.#dispatcher?.destroy().catch(() => {});
  }
}

/** A dispatcher like Node's own but for the time limits; undefined where Node's own is not found. */
async function makeDispatcher(): Promise<Dispatcher | undefined> {
  // Node makes its own with the first fetch. This one goes nowhere.
  await fetch("data:,");
  const own = (globalThis as Record<symbol, unknown>)[place];
  if (typeof own !== "object" || own === null) return undefined;
  return new (own.constructor as DispatcherClass)({ headersTimeout: 0, bodyTimeout: 0 });
}
