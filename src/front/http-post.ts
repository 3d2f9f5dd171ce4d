import type { ServerResponse } from "node:http";
import { after, type Timer } from "../time.ts";
import { json, refuse, sessionGone } from "./http-reply.ts";
import type { SseStream } from "./http-stream.ts";
import type { RequestId } from "./exchange.ts";

/** Milliseconds in which an answer is quick: what takes longer is a stream, which can be resumed. */
const quick = 500;

interface PostOptions {
  readonly response: ServerResponse;
  readonly ids: readonly RequestId[];
  readonly isBatch: boolean;
  /** Of the response, as they are when it begins. */
  readonly headers: () => Readonly<Record<string, string>>;
  readonly stream: () => SseStream;
  /** Told when all is answered. */
  readonly done: () => void;
}

/**
 * What one POST is answered with: JSON where the answers come soon and nothing comes before them, else a stream
 * of events, which goes on when the client has lost it and comes back for it.
 */
export class PostReply {
  readonly #options: PostOptions;
  readonly #waiting: Set<RequestId>;
  readonly #timer: Timer;
  #answers: string[] = [];
  #stream: SseStream | undefined;

  constructor(options: PostOptions) {
    this.#options = options;
    this.#waiting = new Set(options.ids);
    this.#timer = after(quick, () => this.#toStream());
    options.response.on("close", () => this.#timer.clear());
  }

  /** Takes the answer to one of its requests; undefined where none will come. */
  answer(id: RequestId, line: string | undefined): void {
    if (!this.#waiting.delete(id)) return;
    if (this.#waiting.size === 0) this.#options.done();
    if (this.#stream !== undefined) {
      if (line !== undefined) this.#stream.send(line);
      if (this.#waiting.size === 0) this.#stream.end();
      return;
    }
    if (line !== undefined) this.#answers.push(line);
    if (this.#waiting.size === 0) this.#finish();
  }

  /** Takes a message that belongs to one of its requests; tells whether the client can get it. */
  message(line: string): boolean {
    this.#toStream();
    this.#stream?.send(line);
    return this.#stream !== undefined;
  }

  /** The session has ended, so nothing more comes. */
  end(): void {
    this.#timer.clear();
    const { response, ids } = this.#options;
    if (this.#stream !== undefined) this.#stream.end();
    else refuse(response, sessionGone, ids[0]);
  }

  /** A client that went before it was told of a stream cannot come back for it. */
  #toStream(): void {
    this.#timer.clear();
    const { response, headers, stream } = this.#options;
    if (this.#stream !== undefined || response.destroyed || response.headersSent) return;
    this.#stream = stream();
    this.#stream.open(response, headers());
    for (const line of this.#answers.splice(0)) this.#stream.send(line);
  }

  #finish(): void {
    this.#timer.clear();
    const { response, isBatch, headers } = this.#options;
    const [first] = this.#answers;
    if (response.destroyed) return;
    if (first === undefined) response.writeHead(202, headers()).end();
    else json(response, 200, isBatch ? `[${this.#answers.join(",")}]` : first, headers());
  }
}
