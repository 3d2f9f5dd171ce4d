import type { Readable, Writable } from "node:stream";
import type { Gateway } from "../gateway.ts";
import { lineReader, LineWriter } from "../wire.ts";
import { Session } from "./session.ts";

export interface StdioOptions {
  readonly input: Readable;
  readonly output: Writable;
  readonly principal: string;
  readonly listed: () => Promise<void>;
  readonly onProblem: (problem: string) => void;
}

/** The one client at the other end of a pair of streams. */
export class StdioFront {
  /** Resolves when the client has gone. */
  readonly gone: Promise<void>;
  readonly #session: Session;

  constructor(gateway: Gateway, { input, output, principal, listed, onProblem }: StdioOptions) {
    // A client that reads too slowly is not read from until it has caught up.
    const writer = new LineWriter(output, (slow) => (slow ? input.pause() : input.resume()));
    this.#session = new Session(gateway, {
      principal,
      session: "stdio",
      write: (line) => writer.write(line),
      listed,
    });
    this.gone = new Promise((resolve) => {
      input.on("end", resolve);
      input.on("error", () => resolve());
      output.on("error", () => resolve()); // EPIPE: it reads no more
      output.on("close", resolve);
    });
    input.on(
      "data",
      lineReader(
        (line) => this.#session.receive(line),
        () => onProblem("the client sent a message that is too large, which was left out"),
      ),
    );
  }

  /** How many calls are under way. */
  get inFlight(): number {
    return this.#session.inFlight;
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}
