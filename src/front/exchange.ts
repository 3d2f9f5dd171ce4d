import { cancelled, type CallError } from "../errors.ts";

/** As the client gives it. */
export type RequestId = string | number;

/** Why a request is cancelled that its client has taken back, by what that says. */
export const takenBack = (reason: unknown): CallError =>
  cancelled(typeof reason === "string" ? reason : "the client took it back");

/** Writes a message of a request. The last is its answer; `code` is that of an error which is the front's own. */
export type WriteMessage = (exchange: Exchange, line: string, last: boolean, code?: number) => void;

/** A request of a client, from when it came until it is answered or taken back; then nothing is written for it any more. */
export class Exchange {
  readonly id: RequestId;
  /** Who works on it, and is told when the client takes it back. */
  owner: { cancel(reason: CallError): void } | undefined = undefined;
  readonly #write: WriteMessage;
  #open = true;

  constructor(id: RequestId, write: WriteMessage) {
    this.id = id;
    this.#write = write;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Sends a notification that belongs to the request. */
  note(line: string): void {
    if (this.#open) this.#write(this, line, false);
  }

  /** Sends the answer. `code` is given where the request was refused before anything was done. */
  answer(line: string, code?: number): void {
    if (!this.#open) return;
    this.#open = false;
    this.#write(this, line, true, code);
  }

  cancel(reason: CallError): void {
    if (!this.#open) return;
    this.#open = false;
    this.owner?.cancel(reason);
  }
}
