import type { Caller, JsonObject } from "../call.ts";

/** `about`: whose call it is about, where that is known. */
export type Listener = (method: string, params: JsonObject, about?: Caller) => void;

/** Notifications that are kept until somebody listens; a server that sends more says too much. */
const mostEarly = 10_000;

/** What a server tells. What comes before anybody listens is kept, in order. */
export class Notifications {
  readonly #early: Parameters<Listener>[] = [];
  #listener: Listener = (...told) => {
    if (this.#early.length < mostEarly) this.#early.push(told);
  };

  readonly tell: Listener = (...told) => this.#listener(...told);

  /** Calls `listener` from now on, and first for what was kept. */
  listen(listener: Listener): void {
    this.#listener = listener;
    for (const told of this.#early.splice(0)) listener(...told);
  }
}
