import type { ServerInfo } from "./connection.ts";
import { isModern } from "../era.ts";

/** With what a connection is begun: each of the eras has its own. */
export type Opening = "discover" | "initialize";

/** Milliseconds after which a server that does not answer the probe is taken for one of the older era, which need not. */
export const probePatience = 2000;

/** Whether a server is known to speak the newer era. */
export const speaksModern = ({ protocolVersion, isModernToo }: ServerInfo): boolean =>
  isModernToo === true || isModern(protocolVersion);

/** Milliseconds to wait for the answer to the probe, out of `timeoutMs`: all of them where it is known to come. */
export const patience = (known: ServerInfo | undefined, timeoutMs: number): number =>
  known !== undefined && speaksModern(known) ? timeoutMs : Math.min(probePatience, timeoutMs / 2);

/**
 * Which opening has its turn. A server that is not known is probed for the newer era, since one that speaks both is
 * better used by that. One that ended or fell silent at one opening begins with the other the next time.
 */
export class Turn {
  #next: Opening | undefined;

  /** Begins a connection. */
  begin(known: ServerInfo | undefined): Opening {
    const usual = known === undefined || speaksModern(known) ? "discover" : "initialize";
    const opening = this.#next ?? usual;
    this.#next = opening === "discover" ? "initialize" : "discover";
    return opening;
  }

  /** The server has answered, whatever it said. */
  answered(): void {
    this.#next = undefined;
  }
}
