import type { ServerResponse } from "node:http";
import { CallError } from "../errors.ts";

/** Messages from this many characters on are looked after; smaller ones are bounded by their number. */
const large = 64 * 1024;

/** What one client has open. */
interface Responses {
  values(): Iterable<ServerResponse>;
}

/**
 * Large answers that clients by HTTP have not read yet. Once they take more than `maxBytes` together, who leaves more
 * unread than his share is sent no more of them, so that one who does not read takes nothing from the others.
 */
export class Unread {
  readonly #maxBytes: number;
  readonly #clients = new Set<Responses>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Counts what is sent to a client; tells whether it is too much for it now, so that it must not be sent. */
  refuses(responses: Responses, length: number): boolean {
    if (length < large) return false;
    const isBeyond = this.#isBeyond(responses);
    this.#clients.add(responses);
    return isBeyond;
  }

  /** Whether a client has to read before it is sent anything large again. */
  isFull(responses: Responses): boolean {
    return this.#clients.has(responses) && this.#isBeyond(responses);
  }

  /** Forgets on the way those who have read all: they may have gone. */
  #isBeyond(responses: Responses): boolean {
    let total = 0;
    for (const client of this.#clients) {
      const bytes = bytesOf(client);
      total += bytes;
      if (bytes === 0) this.#clients.delete(client);
    }
    return total > this.#maxBytes && bytesOf(responses) > this.#maxBytes / this.#clients.size;
  }
}

function bytesOf(responses: Responses): number {
  let bytes = 0;
  for (const { writableLength } of responses.values()) bytes += writableLength;
  return bytes;
}

/** Why a call has no answer that came. */
export const notRead = (): CallError =>
  new CallError("overloaded", "its answer was left out, since earlier ones are still to be read", {
    outcome: "done",
    local: true,
  });
