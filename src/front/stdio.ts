import type { Readable, Writable } from "node:stream";
import type { Gateway } from "../gateway.ts";
import type { PeerSlot } from "../peer.ts";
import { lineReader, LineWriter } from "../wire.ts";
import { Session } from "./session.ts";

export interface StdioOptions {
  readonly input: Readable;
  readonly output: Writable;
  readonly principal: string;
  readonly listed: () => Promise<void>;
  readonly peer: PeerSlot;
  readonly onProblem: (problem: string) => void;
}

/** The one client at the other end of a pair of streams. */
export class StdioFront {
  /** Resolves when the client has gone. */
  readonly gone: Promise<void>;
  readonly #session: Session;

  constructor(
    gateway: Gateway,
    { input, output, principal, listed, peer, onProblem }: StdioOptions,
  ) {
    // Until a client that reads too slowly has caught up, neither it nor the servers are read from.
    const writer = new LineWriter(output, (slow) => {
      if (slow) input.pause();
      else input.resume();
      gateway.hold(slow);
    });
    this.#session = new Session(gateway, {
      principal,
      session: "stdio",
      write: (line) => writer.write(line),
      listed,
      peer,
      onProblem,
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
