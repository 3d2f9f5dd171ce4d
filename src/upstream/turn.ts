import type { ServerInfo } from "./connection.ts";
import { isModern } from "./era.ts";

/** With what a connection is begun: each of the eras has its own. */
export type Opening = "discover" | "initialize";

/** Milliseconds within which a server of the older era, which need not answer, is taken for one. */
export const probePatience = 2000;

/**
 * Which opening has its turn. A server that is not known is probed for the newer era, since one that speaks both is
 * better used by that. One that ended or fell silent at one opening begins with the other the next time.
 */
export class Turn {
  #next: Opening | undefined;

  /** Begins a connection. */
  begin(known: ServerInfo | undefined): Opening {
    const usual =
      known === undefined || isModern(known.protocolVersion) ? "discover" : "initialize";
    const opening = this.#next ?? usual;
    this.#next = opening === "discover" ? "initialize" : "discover";
    return opening;
  }

  /** The server has answered, whatever it said. */
  answered(): void {
    this.#next = undefined;
  }
}
