import type { JsonObject, Result } from "./call.ts";

/**
 * The client as servers see it: what it can do, and requests to it, such as for sampling, elicitation and
 * roots. A server is initialised only when the client is known, since it is told then what the client can do.
 */
export interface Peer {
  /** What the client announced, as far as it can be passed on. */
  readonly capabilities: Promise<JsonObject>;
  /** Asks the client on behalf of an upstream. Rejects with the client's own error. */
  ask(upstream: string, method: string, params: JsonObject, signal: AbortSignal): Promise<Result>;
}

/** What a client announces that servers may make use of. */
const passedOn = ["roots", "sampling", "elicitation", "tasks", "experimental", "extensions"];

/** The place that a client takes when it comes. */
export class PeerSlot implements Peer {
  readonly capabilities: Promise<JsonObject>;
  #introduced = false;
  #known = (_capabilities: JsonObject): void => {};
  #ask: Peer["ask"] = () => Promise.reject(new Error("no client is connected"));

  /** With `capabilities` where no client will come. */
  constructor(capabilities?: JsonObject) {
    this.capabilities = new Promise((resolve) => (this.#known = resolve));
    if (capabilities !== undefined) this.introduce(capabilities);
  }

  /** The client has told what it can do, or never will; the first word counts. */
  introduce(capabilities: JsonObject, ask?: Peer["ask"]): void {
    if (ask !== undefined) this.#ask = ask;
    if (this.#introduced) return;
    this.#introduced = true;
    this.#known(
      Object.fromEntries(Object.entries(capabilities).filter(([name]) => passedOn.includes(name))),
    );
  }

  readonly ask: Peer["ask"] = (...request) => this.#ask(...request);
}
