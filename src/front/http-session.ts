import { createHash, randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { JsonObject } from "../call.ts";
import type { Gateway } from "../gateway.ts";
import { KeyTable } from "../key-table.ts";
import { PeerSlot } from "../peer.ts";
import { now } from "../time.ts";
import { textOf } from "../wire.ts";
import type { Body } from "./http-body.ts";
import { SentLog } from "./http-log.ts";
import type { HttpLimits } from "./http-options.ts";
import { PostReply } from "./http-post.ts";
import { refusal, refuse, type Refusal } from "./http-reply.ts";
import { parseEventId, SseStream } from "./http-stream.ts";
import type { RequestId } from "./exchange.ts";
import type { ListTexts } from "./list-texts.ts";
import { Session } from "./session.ts";
import { OpenResponses } from "./open-responses.ts";
import type { Unread } from "./unread.ts";

/** The stream for what belongs to no request. */
const standing = 0;

const invalidRequest = -32600;

/** Batches came with this version, and went with the next. */
const lastWithBatches = "2025-03-26";

/** From this version on a stream begins with an event that is no message. */
const firstWithPrimers = "2025-11-25";

const unreadFirst = refusal(429, "Too Many Requests: read the answers to earlier ones first", {
  headers: { "retry-after": "1" },
});

/** What a session is told. */
export interface HttpSessionOptions {
  readonly limits: HttpLimits;
  readonly principal: string;
  readonly listed: () => Promise<void>;
  readonly texts: ListTexts;
  readonly unread: Unread;
  readonly onProblem: (problem: string) => void;
  /** Told when it has ended, for whatever reason. */
  readonly onEnd: (session: HttpSession) => void;
}

/** One client by HTTP, over as many requests and streams as it takes. */
export class HttpSession {
  /** The secret by which the client names it: 192 random bits. */
  readonly id = randomBytes(24).toString("base64url");
  /** The same for logs and events: it gives nobody access. */
  readonly name = `http-${createHash("sha256").update(this.id).digest("hex").slice(0, 16)}`;
  readonly peer = new PeerSlot();
  readonly principal: string;
  readonly #options: HttpSessionOptions;
  readonly #session: Session;
  readonly #log: SentLog;
  readonly #standing: SseStream;
  /** Those of requests under way, by their numbers. */
  readonly #streams = new Map<number, SseStream>();
  readonly #replies = new KeyTable<RequestId, PostReply>();
  /** The responses that are not yet written in full. */
  readonly #responses = new OpenResponses();
  /** How many of them are streams which were asked for. */
  #listening = 0;
  #lastStream = standing;
  #version = "";
  #quietSince = now();
  #hasEnded = false;

  constructor(gateway: Gateway, options: HttpSessionOptions) {
    this.#options = options;
    this.principal = options.principal;
    this.#log = new SentLog(options.limits.replayBytes);
    this.#standing = this.#stream(standing);
    this.#session = new Session(gateway, {
      principal: options.principal,
      session: this.name,
      write: (line, about) => this.#write(line, about),
      answer: (id, line) => this.#answer(id, line === undefined ? undefined : textOf(line)),
      refuses: (length) => options.unread.refuses(this.#responses, length),
      isOneOfMany: true,
      listed: options.listed,
      texts: options.texts,
      peer: this.peer,
      onProblem: options.onProblem,
    });
  }

  /** How many requests wait for their answers. */
  get inFlight(): number {
    return this.#replies.size;
  }

  /** Milliseconds since it was last used; 0 while a request is under way or a response open. */
  get idleMs(): number {
    return this.#replies.size > 0 || this.#responses.size > 0 ? 0 : now() - this.#quietSince;
  }

  /** Takes what a client posted, and answers it. */
  post({ messages, isBatch }: Body, response: ServerResponse): void {
    const ids = messages.flatMap(({ id, method }) =>
      typeof method === "string" && id !== undefined ? [id as RequestId] : [],
    );
    const why = this.#refusal(ids, isBatch);
    if (why !== undefined) return refuse(response, why, ids[0] ?? null);
    this.#hold(response);
    if (ids.length > 0) this.#reply(ids, isBatch, response);
    else response.writeHead(202, this.#headers()).end();
    for (const message of messages) this.#session.take(message);
  }

  /** Opens the stream for what belongs to no request, or goes on with the stream of which `lastEventId` is. */
  listen(lastEventId: string | undefined, response: ServerResponse): void {
    // Each is sent what is kept, which stays in memory for who does not read it: one for each request, and one more.
    if (this.#listening > this.#options.limits.maxInFlight)
      return refuse(response, this.#tooMany());
    if (this.#options.unread.isFull(this.#responses)) return refuse(response, unreadFirst);
    const last = lastEventId === undefined ? undefined : parseEventId(lastEventId);
    if (lastEventId !== undefined && last === undefined)
      return refuse(response, refusal(400, "Bad Request: Last-Event-ID is none of ours"));
    this.#hold(response);
    this.#listening++;
    response.on("close", () => this.#listening--);
    if (last === undefined) return this.#standing.open(response, this.#headers());
    const { stream: number, number: after } = last;
    const stream = number === standing ? this.#standing : this.#streams.get(number);
    if (stream !== undefined) return stream.open(response, this.#headers(), after);
    // That there is nothing left is what 204 tells those who come back.
    if (this.#log.after(number, after).length === 0)
      return void response.writeHead(204, this.#headers()).end();
    const ended = this.#stream(number);
    ended.open(response, this.#headers(), after);
    ended.end();
  }

  /** Ends it: what is under way is cancelled, and nothing more is sent. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#session.close();
    for (const [id, reply] of this.#replies.entries()) {
      this.#replies.remove(id, reply);
      reply.end();
    }
    for (const stream of this.#streams.values()) stream.end();
    this.#streams.clear();
    this.#standing.end();
    this.#options.onEnd(this);
  }

  #refusal(ids: readonly RequestId[], isBatch: boolean): Refusal | undefined {
    const { maxInFlight } = this.#options.limits;
    const code = invalidRequest;
    if (isBatch && this.#version > lastWithBatches)
      return refusal(400, `Invalid Request: no batches in ${this.#version}`, { code });
    const isTwice = isBatch && new Set(ids).size < ids.length;
    if (isTwice || ids.some((id) => this.#replies.get(id) !== undefined))
      return refusal(400, "Invalid Request: a request of this id is under way", { code });
    // A response that is not read takes as much as a request under way.
    if (ids.length + Math.max(this.#replies.size, this.#responses.size) > maxInFlight)
      return this.#tooMany();
    return ids.length > 0 && this.#options.unread.isFull(this.#responses) ? unreadFirst : undefined;
  }

  #tooMany(): Refusal {
    const { maxInFlight } = this.#options.limits;
    return refusal(429, `Too Many Requests: at most ${maxInFlight} of a session at a time`, {
      headers: { "retry-after": "1" },
    });
  }

  #reply(ids: readonly RequestId[], isBatch: boolean, response: ServerResponse): void {
    const number = ++this.#lastStream;
    const reply = new PostReply({
      response,
      isBatch,
      ids,
      headers: () => this.#headers(),
      stream: () => {
        const stream = this.#stream(number);
        this.#streams.set(number, stream);
        return stream;
      },
      done: () => this.#streams.delete(number),
    });
    for (const id of ids) this.#replies.add(id, reply);
  }

  #answer(id: RequestId, line: string | undefined): void {
    if (this.#version === "" && line !== undefined) this.#learn(line);
    const reply = this.#replies.get(id);
    if (reply === undefined) return;
    this.#replies.remove(id, reply);
    this.#quietSince = now();
    reply.answer(id, line);
  }

  #write(line: string, about: RequestId | undefined): void {
    const reply = about === undefined ? undefined : this.#replies.get(about);
    if (reply?.message(line) !== true) this.#standing.send(line);
  }

  /** The first answer is that to `initialize`: without a version there is no session. */
  #learn(line: string): void {
    const { result } = JSON.parse(line) as { result?: JsonObject };
    const version = result?.["protocolVersion"];
    if (typeof version === "string") this.#version = version;
    else queueMicrotask(() => this.end());
  }

  #stream(number: number): SseStream {
    const { keepAliveMs } = this.#options.limits;
    // Clients of older versions take every event for a message.
    const primes = (): boolean => this.#version >= firstWithPrimers;
    return new SseStream(number, { log: this.#log, keepAliveMs, primes });
  }

  #headers(): Record<string, string> {
    return this.#version === "" ? {} : { "mcp-session-id": this.id };
  }

  #hold(response: ServerResponse): void {
    if (response.destroyed) return; // its client went while the request was read
    const leave = this.#responses.add(response);
    response.on("close", () => {
      leave();
      this.#quietSince = now();
    });
  }
}
