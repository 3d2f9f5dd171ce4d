import type { ServerResponse } from "node:http";
import { KeyTable } from "../key-table.ts";

/** The responses that one client has open. They come and go with each request, so they are kept in a table. */
export class OpenResponses {
  readonly #responses = new KeyTable<number, ServerResponse>();
  #count = 0;

  get size(): number {
    return this.#responses.size;
  }

  /** Answers how it leaves. */
  add(response: ServerResponse): () => void {
    const number = this.#count++;
    this.#responses.add(number, response);
    return () => this.#responses.remove(number, response);
  }

  values(): ServerResponse[] {
    return this.#responses.values();
  }
}
