import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { JsonObject } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError, messageOf } from "../errors.ts";
import { after, settlesWithin, sleep } from "../time.ts";
import { isObject, maxMessageBytes, parseMessages } from "../wire.ts";
import type { ConnectionEvents } from "./connection.ts";
import type { OlderWire } from "./client.ts";
import { readAnswer } from "./http-answer.ts";
import { exchange, MessageTexts } from "./http-exchange.ts";
import type { HttpFailure } from "./http-failures.ts";
import { Fetcher } from "./http-fetch.ts";
import { relay } from "./http-relay.ts";
import { EventStream } from "./http-stream.ts";
import type { HttpTarget } from "./http-target.ts";
import { Link } from "./link.ts";
import { OwnRequests } from "./own-requests.ts";

/** Milliseconds that a server has to take the end of its session. */
const farewell = 300;
/** Milliseconds that a server has to take what is no request. */
const noteTimeout = 10_000;

/** What is no request and waits for the server to take it, at most; then a request is taken back by closing it alone. */
const mostNotes = 256;

/** What a body is that is sent, as far as it matters here. */
interface Posted {
  /** Of a request. */
  readonly id?: number;
  readonly method?: unknown;
  /** The id of the request that it takes back. */
  readonly cancels?: unknown;
}

/**
 * A connection by Streamable HTTP, or by its predecessor that is known as SSE.
 *
 * The SDK's transport keeps the session, the headers and the redirects, and sends. Bodies that come back are
 * read here, behind `fetch`, because here it is known which call they answer: the SDK leaves
 * a call whose stream breaks to its timeout, opens streams again without end, and takes every message apart.
 */
export class HttpConnection {
  readonly transport: StreamableHTTPClientTransport | SSEClientTransport;
  readonly link: Link;
  readonly wire: OlderWire;
  /** Resolves with the reason when nothing new can be sent. Calls under way may still be answered. */
  readonly ended: Promise<CallError>;
  /** The HTTP status with which the server refused to be initialised. */
  refusedInitialize: number | undefined;
  readonly #target: HttpTarget;
  readonly #events: ConnectionEvents;
  readonly #fetcher: Fetcher;
  readonly #texts: MessageTexts;
  /** What ends the wait for an answer, by the request's id. */
  readonly #requests = new Map<number, Cancel>();
  /** Ends the stream for what belongs to no request. */
  readonly #listening = new Cancel();
  readonly #own: OwnRequests;
  /** Takes what answers no request of ours. */
  #listener: ((message: JsonObject) => void) | undefined;
  /** Ends everything. */
  readonly #closed = new Cancel();
  #url: URL;
  #resolveEnded = (_reason: CallError): void => {};
  #notes = 0;
  #hasEnded = false;

  constructor(target: HttpTarget, kind: "http" | "sse", events: ConnectionEvents) {
    this.#target = target;
    this.#events = events;
    this.#fetcher = new Fetcher(target.auth);
    this.#texts = new MessageTexts(target, events.problem);
    this.#url = target.url;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    const send = (message: JsonObject): undefined => this.#send(message);
    this.link = new Link(target.upstream, send);
    this.#own = new OwnRequests(target.upstream, send);
    this.wire = {
      send,
      calls: this.link,
      own: this.#own,
      listen: (take, end) => {
        this.#listener = take;
        this.#closed.subscribe(end);
      },
      initialized: (version) => {
        this.transport.setProtocolVersion(version);
        return this.transport.send({ jsonrpc: "2.0", method: "notifications/initialized" });
      },
    };
    const options = { fetch: this.#fetch, requestInit: { headers: { ...target.headers } } };
    this.transport =
      kind === "sse"
        ? new SSEClientTransport(target.url, options)
        : new StreamableHTTPClientTransport(target.url, options);
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- it is no EventTarget
    this.transport.onclose = () => this.#stop();
  }

  /** Begins; a server of the SSE transport says first where it wants to be sent to. */
  start(): Promise<void> {
    return this.transport.start();
  }

  /** While held, nothing is read from the server. */
  hold(held: boolean): void {
    this.link.hold(held);
    this.#fetcher.hold(held);
  }

  /** Ends the session and all that belongs to it. Settles within half a second. */
  async close(): Promise<void> {
    const { transport } = this;
    const reason = this.#lost("was disconnected");
    const inSession = !this.#hasEnded && transport instanceof StreamableHTTPClientTransport;
    this.#end(reason);
    this.link.end(reason);
    if (inSession) await settlesWithin(transport.terminateSession(), farewell);
    await transport.close();
  }

  #send(message: JsonObject): undefined {
    const { id, method } = message;
    this.transport
      .send(message as JSONRPCMessage)
      .catch((error: unknown) => {
        if (typeof id === "number" && method !== undefined) this.#fail(id, this.#notSent(error));
      })
      .finally(() => this.#closeWhenIdle());
  }

  readonly #fetch = (input: string | URL, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input);
    if (init.method === "DELETE")
      return this.#fetcher.fetch(url, { ...init, signal: this.#closed.abortSignal() });
    if (init.method === "POST") {
      const { id, ...rest } = posted(init.body);
      return id === undefined
        ? this.#postNote(url, init, rest.cancels)
        : this.#postRequest(url, init, id, rest.method);
    }
    return this.transport instanceof SSEClientTransport
      ? this.#relay(url, init)
      : Promise.resolve(this.#listen(init));
  };

  async #postRequest(url: URL, init: RequestInit, id: number, method: unknown): Promise<Response> {
    const stop = new Cancel();
    this.#requests.set(id, stop);
    const got = await this.#exchange(url, init, stop);
    const isTaken = got instanceof Response && !isRedirect(got);
    if (isTaken && this.transport instanceof StreamableHTTPClientTransport) {
      this.#url = url;
      void this.#read(id, { url, headers: new Headers(init.headers), stop }, got);
      return accepted(got);
    }
    this.#settled(id);
    if (got instanceof Response) return got;
    if (method === "initialize") this.refusedInitialize = got.status;
    else if (this.#isAnswer(got, id)) return accepted();
    throw got.error;
  }

  async #postNote(url: URL, init: RequestInit, cancels: unknown): Promise<Response> {
    const close = (): void => {
      if (typeof cancels === "number") this.#requests.get(cancels)?.cancel(this.#lost("was told"));
    };
    if (this.#notes >= mostNotes) {
      close();
      return accepted();
    }
    const stop = new Cancel();
    const timer = after(noteTimeout, () => stop.cancel(this.#lost("did not take a notification")));
    this.#notes++;
    const got = await this.#exchange(url, init, stop);
    this.#notes--;
    timer.clear();
    // Now that the server knows, its answer need not be waited for.
    close();
    if (!(got instanceof Response)) throw got.error;
    if (isRedirect(got)) return got;
    void got.body?.cancel().catch(() => {});
    return accepted(got);
  }

  /** Sends a request; an answer with a status of 400 or more is a failure. */
  async #exchange(url: URL, init: RequestInit, stop: Cancel): Promise<Response | HttpFailure> {
    const { transport } = this;
    // What is posted to a server of the SSE transport names the session in its address.
    const inSession =
      new Headers(init.headers).has("mcp-session-id") ||
      (transport instanceof SSEClientTransport && init.method === "POST");
    const got = await exchange(this.#fetcher, this.#target, url, init, stop, inSession);
    if (!(got instanceof Response) && got.ends) this.#end(got.error);
    return got;
  }

  async #read(
    id: number,
    request: { readonly url: URL; readonly headers: Headers; readonly stop: Cancel },
    response: Response,
  ): Promise<void> {
    const onMessage = (text: string): boolean =>
      this.#take(text, id).some((message) => message["id"] === id && !("method" in message));
    const common = { target: this.#target, fetcher: this.#fetcher, resumes: true, onMessage };
    const failure = await readAnswer({ ...common, ...request }, response);
    if (failure?.ends === true) this.#end(failure.error);
    if (failure !== undefined) this.#fail(id, failure.error);
    this.#settled(id);
  }

  /** Whether a server has refused a request with its own answer to it, which is handed on if so. */
  #isAnswer({ error, body = "" }: HttpFailure, id: number): boolean {
    const answers =
      error.code === "upstream_error" &&
      error.outcome === "failed" &&
      parseMessages(body)?.some((message) => message["id"] === id && isObject(message["error"]));
    if (answers === true) this.#take(body);
    return answers === true;
  }

  /** Opens the stream for what belongs to no request. For the SDK there is none. */
  #listen(init: RequestInit): Response {
    const stream = new EventStream({
      target: this.#target,
      fetcher: this.#fetcher,
      url: this.#url,
      headers: new Headers(init.headers),
      stop: this.#listening,
      standing: true,
      resumes: true,
      onMessage: (text) => {
        this.#take(text);
        return false;
      },
      onTooLarge: this.#tooLarge,
    });
    void stream.follow().then((failure) => {
      if (failure === undefined) return;
      const { error, ends, status = 500 } = failure;
      if (ends || (stream.opened && status >= 500)) this.#end(error);
      else if (stream.opened || status >= 500)
        this.#events.problem(
          `its stream of notifications does not stay open, so changes may go unnoticed: ${error.message}`,
        );
    });
    return new Response(null, { status: 405 });
  }

  /** Opens the one stream of the SSE transport, whose end is the end of the connection. */
  async #relay(url: URL, init: RequestInit): Promise<Response> {
    const got = await this.#exchange(url, init, this.#closed);
    if (!(got instanceof Response)) {
      this.#end(got.error);
      throw got.error;
    }
    if (isRedirect(got)) return got;
    const onMessage = (text: string): void => {
      this.#take(text);
      this.#closeWhenIdle();
    };
    const common = { target: this.#target, fetcher: this.#fetcher };
    const { rest, ended } = relay({ ...common, onMessage, onTooLarge: this.#tooLarge }, got);
    void ended.then((error) => {
      this.link.end(this.#end(error));
      return this.transport.close();
    });
    return rest;
  }

  /** Hands messages to their calls, or to the session. What came with the answer to a request belongs to that one. */
  #take(text: string, request?: number): readonly JsonObject[] {
    return this.#texts.read(text, (message, line) => {
      if (this.link.receive(message, line)) return;
      const { id, method } = message;
      if (request !== undefined && method !== undefined)
        if (id === undefined) this.link.isAbout(message, request);
        else this.link.asks(id, request);
      this.#listener?.(message);
    });
  }

  readonly #tooLarge = (): void =>
    this.#events.problem(`left out a message of over ${maxMessageBytes} bytes`);

  /** Nothing new is sent from now on; what is under way may still be answered. Gives the reason in force. */
  #end(why: CallError): CallError {
    const { upstream } = this.#target;
    const reason =
      why.outcome === "failed"
        ? why
        : new CallError(why.code, why.message, { outcome: "failed", upstream, cause: why });
    if (this.#hasEnded) return reason;
    this.#hasEnded = true;
    this.link.refuse(reason);
    this.#listening.cancel(reason);
    this.#resolveEnded(reason);
    this.#closeWhenIdle();
    return reason;
  }

  #fail(id: number, error: CallError): void {
    if (!this.link.fail(id, error)) this.#own.fail(id, error);
  }

  #settled(id: number): void {
    this.#requests.delete(id);
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    const isIdle = this.#requests.size === 0 && this.link.inFlight === 0;
    if (!this.#hasEnded || !isIdle || this.#closed.reason !== undefined) return;
    // Not before all have heard why.
    void sleep(0).then(() => this.transport.close());
  }

  #stop(): void {
    const reason = this.#lost("was disconnected");
    this.#closed.cancel(reason);
    this.#listening.cancel(reason);
    this.#own.end(reason);
    for (const stop of this.#requests.values()) stop.cancel(reason);
    this.#fetcher.close();
  }

  #lost(how: string): CallError {
    const { upstream } = this.#target;
    return new CallError("connection_lost", `${upstream} ${how}`, { outcome: "failed", upstream });
  }

  /** What the SDK says of its own is that it did not send: it does not follow every redirect. */
  #notSent(error: unknown): CallError {
    if (error instanceof CallError) return error;
    const { upstream } = this.#target;
    const words = `${upstream} did not take the request: ${this.#target.mask(messageOf(error))}`;
    return new CallError("upstream_error", words, { outcome: "failed", upstream, cause: error });
  }
}

const isRedirect = ({ status }: Response): boolean => status >= 300 && status < 400;

/** What the SDK gets in place of an answer that is read here: that there is nothing to read. */
const accepted = (response?: Response): Response =>
  new Response(null, { status: 202, ...(response !== undefined && { headers: response.headers }) });

/** How the messages of our own requests begin. */
const ownRequest = /^\{"jsonrpc":"2\.0","id":(\d+),"method":"([^"]*)"/;

function posted(body: unknown): Posted {
  if (typeof body !== "string") return {};
  const [, own, of] = ownRequest.exec(body) ?? [];
  if (own !== undefined) return { id: Number(own), method: of };
  const { method, params } = parseMessages(body)?.[0] ?? {};
  return method === "notifications/cancelled" && isObject(params)
    ? { cancels: params["requestId"] }
    : {};
}
