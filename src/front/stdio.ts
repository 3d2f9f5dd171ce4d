import type { Readable, Writable } from "node:stream";
import type { Gateway } from "../gateway.ts";
import type { Peers, PeerSlot } from "../peer.ts";
import { after } from "../time.ts";
import {
  errorLine,
  idAtEnds,
  lineReader,
  LineWriter,
  maxMessageBytes,
  type Line,
} from "../wire.ts";
import { Session } from "./session.ts";
import { StatelessStdio } from "./stateless-stdio.ts";

export interface StdioOptions {
  readonly input: Readable;
  readonly output: Writable;
  readonly principal: string;
  readonly listed: () => Promise<void>;
  readonly peer: PeerSlot;
  readonly peers: Peers;
  readonly onProblem: (problem: string) => void;
}

const invalidRequest = -32600;

/** Bytes that are read ahead of a client that reads too slowly: its end is noticed behind so many at most. */
const mostAhead = 16 * 1024 * 1024;

/** The one client at the other end of a pair of streams. */
export class StdioFront {
  /** Resolves when the client has gone. */
  readonly gone: Promise<void>;
  readonly #session: Session;
  readonly #stateless: StatelessStdio;
  readonly #input: Readable;
  readonly #take: (chunk: Buffer) => void;
  /** What came while the client read too slowly. */
  readonly #ahead: Buffer[] = [];
  #aheadBytes = 0;
  #slow = false;

  constructor(
    gateway: Gateway,
    { input, output, principal, listed, peer, peers, onProblem }: StdioOptions,
  ) {
    // Until a client that reads too slowly has caught up, nothing of it is taken, nor of the servers.
    const writer = new LineWriter(output, (slow) => {
      this.#slow = slow;
      gateway.hold(slow);
      this.#catchUp();
    });
    const write = (line: Line): void => writer.write(line);
    const common = { principal, session: "stdio", listed, onProblem };
    this.#stateless = new StatelessStdio(gateway, { ...common, peers, slot: peer }, write);
    this.#session = new Session(gateway, {
      ...common,
      write,
      answer: (_id, line) => {
        if (line !== undefined) write(line);
      },
      peer,
      takeOther: (message) => this.#stateless.take(message),
    });
    this.gone = new Promise((resolve) => {
      input.on("end", resolve);
      input.on("error", () => resolve());
      output.on("error", () => resolve()); // EPIPE: it reads no more
      output.on("close", resolve);
    });
    this.#input = input;
    this.#take = lineReader(
      (line) => this.#session.receive(line),
      (start, end) => {
        const message = `Invalid Request: a message of over ${maxMessageBytes} bytes`;
        write(errorLine(idAtEnds(start, end), { code: invalidRequest, message }));
        onProblem("the client sent a message that is too large, which was left out");
      },
    );
    input.on("data", (chunk: Buffer) => {
      if (this.#slow || this.#ahead.length > 0) this.#keep(chunk);
      else this.#take(chunk);
    });
  }

  /** How many calls are under way. */
  get inFlight(): number {
    return this.#session.inFlight + this.#stateless.inFlight + this.#ahead.length;
  }

  close(): void {
    this.#ahead.length = 0;
    this.#stateless.close();
    this.#session.close();
  }

  #keep(chunk: Buffer): void {
    this.#ahead.push(chunk);
    this.#aheadBytes += chunk.length;
    if (this.#aheadBytes > mostAhead) this.#input.pause();
  }

  /** Takes what was kept, a chunk at a time, since the answers may be too much for the client again. */
  #catchUp(): void {
    const chunk = this.#slow ? undefined : this.#ahead.shift();
    if (chunk === undefined) return;
    this.#aheadBytes -= chunk.length;
    this.#take(chunk);
    this.#input.resume();
    after(0, () => this.#catchUp());
  }
}
