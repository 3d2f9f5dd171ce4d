import type { ServerResponse } from "node:http";
import { every, type Timer } from "../time.ts";
import type { Sent, SentLog } from "./http-log.ts";
import { asBody } from "./http-reply.ts";

/** Bytes that may wait for a client that reads too slowly; then its stream is ended, and it may resume. */
const mostWaiting = 1024 * 1024;
/** Milliseconds after which a client comes back whose stream has ended. */
const retry = 1000;

/** The headers of a response that is a stream of events. */
export const eventStream = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

/** How streams are written. */
export interface StreamOptions {
  readonly log: SentLog;
  readonly keepAliveMs: number;
  /** Whether the client takes an event without data, which tells where to resume before anything was sent. */
  readonly primes: () => boolean;
}

/** What a client is sent as events on one stream, over as many responses as it takes. */
export class SseStream {
  readonly #number: number;
  readonly #options: StreamOptions;
  #response: ServerResponse | undefined;
  #alive: Timer | undefined;
  /** The number of the last message that was written to any response. */
  #written: number;

  constructor(number: number, options: StreamOptions) {
    this.#number = number;
    this.#options = options;
    this.#written = options.log.last;
  }

  /** Whether somebody listens now. */
  get isOpen(): boolean {
    return this.#response !== undefined;
  }

  /** Goes on to write to `response`: what came after the message `last`, by default what was never written. */
  open(
    response: ServerResponse,
    headers: Readonly<Record<string, string>>,
    last = this.#written,
  ): void {
    this.#leave();
    const { log, keepAliveMs, primes } = this.#options;
    response.writeHead(200, { ...eventStream, ...headers });
    response.flushHeaders();
    this.#response = response;
    response.on("close", () => {
      if (this.#response === response) this.#forget();
    });
    if (primes()) response.write(`id: ${this.#number}-${last}\nretry: ${retry}\ndata: \n\n`);
    // All at once: what is kept is bounded, and it is what the client came for.
    const missed = log.after(this.#number, last);
    if (missed.length > 0) this.#send(response, missed.map(eventText).join(""), missed.at(-1));
    this.#written = missed.at(-1)?.number ?? last;
    this.#alive = every(keepAliveMs, () => {
      if (response.writableLength === 0) response.write(": alive\n\n");
    });
  }

  send(line: string): void {
    this.#write(this.#options.log.add(this.#number, line));
  }

  /** Nothing more comes. */
  end(): void {
    this.#leave();
  }

  #write(sent: Sent): void {
    const response = this.#response;
    if (response === undefined) return;
    if (response.writableLength > mostWaiting) return this.#leave();
    this.#written = sent.number;
    this.#send(response, eventText(sent), sent);
  }

  #send(response: ServerResponse, text: string, last: Sent | undefined): void {
    response.write(asBody(text), (error) => {
      if (!error && last !== undefined) this.#options.log.taken(last.number);
    });
  }

  /** What was written is still sent. */
  #leave(): void {
    const response = this.#response;
    this.#forget();
    response?.end();
  }

  #forget(): void {
    this.#alive?.clear();
    this.#response = undefined;
  }
}

/** A line break of any kind would end the data of an event; outside of strings JSON may hold one. */
export const oneLine = (line: string): string =>
  line.includes("\r") ? line.replaceAll("\r", " ") : line;

const eventText = ({ stream, number, line }: Sent): string =>
  `event: message\nid: ${stream}-${number}\ndata: ${oneLine(line)}\n\n`;

/** Which message of which stream an event's id names. */
export function parseEventId(id: string): { stream: number; number: number } | undefined {
  const [, stream, number] = /^(\d{1,15})-(\d{1,15})$/.exec(id) ?? [];
  return stream === undefined || number === undefined
    ? undefined
    : { stream: Number(stream), number: Number(number) };
}
