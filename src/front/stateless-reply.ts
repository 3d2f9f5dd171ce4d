import type { ServerResponse } from "node:http";
import { every, type Timer } from "../time.ts";
import type { Exchange } from "./exchange.ts";
import { asBody, json } from "./http-reply.ts";
import { eventStream, oneLine } from "./http-stream.ts";

const methodNotFound = -32601;

/** Bytes that may wait for a client that reads too slowly: it is told nothing more than answers meanwhile. */
const mostWaiting = 1024 * 1024;

/**
 * What one request by HTTP is answered with: JSON, or a stream of events where something comes before the answer,
 * or nothing for so long that somebody on the way may take the connection for dead.
 */
export class StatelessReply {
  readonly #response: ServerResponse;
  readonly #alive: Timer;

  constructor(response: ServerResponse, keepAliveMs: number) {
    this.#response = response;
    this.#alive = every(keepAliveMs, () => {
      this.#stream();
      if (response.writableLength === 0) response.write(": alive\n\n");
    });
    response.on("close", () => this.#alive.clear());
  }

  /** Writes a message of the request. */
  readonly write = (_exchange: Exchange, line: string, last: boolean, code?: number): void => {
    const response = this.#response;
    if (response.destroyed) return;
    if (last && !response.headersSent) {
      this.#alive.clear();
      return json(response, statusOf(code), line);
    }
    if (!last && response.writableLength > mostWaiting) return;
    this.#stream();
    response.write(asBody(`event: message\ndata: ${oneLine(line)}\n\n`));
    if (!last) return;
    this.#alive.clear();
    response.end();
  };

  #stream(): void {
    if (this.#response.headersSent || this.#response.destroyed) return;
    this.#response.writeHead(200, eventStream);
    this.#response.flushHeaders();
  }
}

/** Of an answer; that of a refusal by its code. */
const statusOf = (code: number | undefined): number =>
  code === undefined ? 200 : code === methodNotFound ? 404 : 400;
