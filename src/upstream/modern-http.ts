import type { JsonObject, ToolDefinition } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError } from "../errors.ts";
import { isObject, parseMessages, toJson } from "../wire.ts";
import type { ConnectionEvents } from "./connection.ts";
import { modernVersion } from "../era.ts";
import { readAnswer } from "./http-answer.ts";
import { exchange, MessageTexts } from "./http-exchange.ts";
import type { HttpFailure } from "./http-failures.ts";
import { Fetcher } from "./http-fetch.ts";
import type { HttpTarget } from "./http-target.ts";
import { Link, unwritable } from "./link.ts";
import type { Wire, WireListener } from "./modern-session.ts";
import { OwnRequests } from "./own-requests.ts";
import { nameOf, paramHeaders, paramValue, type ParamHeader } from "../param-headers.ts";

/** So many redirects in a row, and no more. They keep method and body, and lead nowhere else than to the same origin. */
const mostRedirects = 5;
const redirects = [307, 308];

/**
 * HTTP as the newer era uses it: each request is a POST of its own, and what comes back on it is about that request.
 * To close it is to take the request back. There is no session and no other stream.
 */
export class ModernHttp implements Wire {
  readonly calls: Link;
  readonly own: OwnRequests;
  /** Resolves with the reason when the server cannot be reached any more, or this was closed. */
  readonly ended: Promise<CallError>;
  readonly #target: HttpTarget;
  readonly #events: ConnectionEvents;
  readonly #fetcher: Fetcher;
  readonly #texts: MessageTexts;
  /** What ends a request, by its id. */
  readonly #requests = new Map<unknown, Cancel>();
  #listener: WireListener;
  #headers: ReadonlyMap<string, readonly ParamHeader[]> = new Map();
  #refused: ReadonlySet<string> = new Set();
  #resolveEnded = (_reason: CallError): void => {};
  #hasEnded = false;

  constructor(target: HttpTarget, events: ConnectionEvents) {
    this.#target = target;
    this.#events = events;
    this.#fetcher = new Fetcher(target.auth);
    this.#texts = new MessageTexts(target, events.problem);
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    this.calls = new Link(target.upstream, this.send);
    const own = new OwnRequests(target.upstream, this.send);
    this.own = own;
    // Until somebody listens there are requests of our own alone.
    this.#listener = {
      take: (message) => void own.receive(message),
      failed: (id, error) => void (typeof id === "number" && own.fail(id, error)),
      end: (reason) => own.end(reason),
    };
  }

  readonly send = (message: JsonObject): CallError | undefined => {
    const { id, method, params } = message;
    if (method === "notifications/cancelled" && isObject(params))
      this.#requests.get(params["requestId"])?.cancel(this.#failure("was told"));
    if (id === undefined) return undefined; // a client has nothing else to tell
    const body = toJson(message);
    if (body === undefined) return unwritable(this.#target.upstream);
    void this.#request(id, body, this.#headersOf(String(method), isObject(params) ? params : {}));
    return undefined;
  };

  /** Keeps what headers the tools want; leaves out those that want what cannot be, and tells of each once. */
  readonly learn = (tools: readonly ToolDefinition[]): readonly ToolDefinition[] => {
    const headers = new Map<string, readonly ParamHeader[]>();
    const refused = new Set<string>();
    for (const tool of tools) {
      const found = paramHeaders(tool);
      if (typeof found !== "string") headers.set(tool.name, found);
      else {
        refused.add(tool.name);
        if (!this.#refused.has(tool.name))
          this.#events.problem(`tool ${tool.name} is left out: ${found}`);
      }
    }
    this.#headers = headers;
    this.#refused = refused;
    return tools.filter(({ name }) => !refused.has(name));
  };

  listen(listener: WireListener): void {
    this.#listener = listener;
  }

  /** While held, nothing is read from the server. */
  hold(held: boolean): void {
    this.calls.hold(held);
    this.#fetcher.hold(held);
  }

  /** Ends all that is under way. */
  close(): void {
    const reason = this.#failure("was disconnected");
    this.calls.end(reason);
    for (const stop of this.#requests.values()) stop.cancel(reason);
    this.#end(reason);
  }

  #headersOf(method: string, params: JsonObject): Headers {
    const headers = new Headers({ ...this.#target.headers });
    headers.set("content-type", "application/json");
    headers.set("accept", "application/json, text/event-stream");
    headers.set("mcp-protocol-version", modernVersion);
    headers.set("mcp-method", method);
    const name = nameOf(method, params);
    if (name !== undefined) headers.set("mcp-name", name);
    if (method === "tools/call")
      for (const { header, path } of this.#headers.get(String(params["name"])) ?? []) {
        const value = paramValue(params["arguments"], path);
        if (value !== undefined) headers.set(header, value);
      }
    return headers;
  }

  async #request(id: unknown, body: string, headers: Headers): Promise<void> {
    const stop = new Cancel();
    this.#requests.set(id, stop);
    const failure = await this.#exchange(id, body, headers, stop);
    this.#requests.delete(id);
    if (failure !== undefined) this.#listener.failed(id, failure.error);
    if (failure?.ends === true || this.#hasEnded)
      this.#end(failure?.error ?? this.#failure("ended"));
  }

  /** Resolves with why there was no answer; with undefined when there was one, or the request was taken back. */
  async #exchange(
    id: unknown,
    body: string,
    headers: Headers,
    stop: Cancel,
  ): Promise<HttpFailure | undefined> {
    const got = await this.#post(body, headers, stop);
    if (!(got.response instanceof Response))
      return stop.reason === undefined && !this.#isAnswer(id, got.response)
        ? got.response
        : undefined;
    const { response, url } = got;
    const onMessage = (text: string): boolean =>
      this.#texts
        .read(text, (message, line) => {
          if (message["id"] === undefined && typeof id === "number")
            this.calls.isAbout(message, id);
          this.#take(message, line);
        })
        .some((message) => message["id"] === id && !("method" in message));
    const common = { target: this.#target, fetcher: this.#fetcher, headers, resumes: false };
    return readAnswer({ ...common, url, stop, onMessage }, response);
  }

  async #post(
    body: string,
    headers: Headers,
    stop: Cancel,
  ): Promise<{ response: Response | HttpFailure; url: URL }> {
    let { url } = this.#target;
    for (let followed = 0; ; followed++) {
      const init = { method: "POST", headers, body };
      // oxlint-disable-next-line no-await-in-loop -- each names the next
      const response = await exchange(this.#fetcher, this.#target, url, init, stop, false);
      const next = response instanceof Response ? redirectOf(response, url) : undefined;
      if (next === undefined || followed === mostRedirects) return { response, url };
      url = next;
    }
  }

  /** Whether a server has refused a request with its own answer to it, which is handed on if so. */
  #isAnswer(id: unknown, { error, body = "" }: HttpFailure): boolean {
    if (error.code !== "upstream_error" || error.outcome !== "failed") return false;
    const answer = parseMessages(body)?.find(
      (message) => isObject(message["error"]) && (message["id"] ?? id) === id,
    );
    // One that could not read the request gives its error no id.
    if (answer !== undefined) this.#take({ ...answer, id }, "");
    return answer !== undefined;
  }

  readonly #take = (message: JsonObject, line: string): void => {
    if (!this.calls.receive(message, line)) this.#listener.take(message);
  };

  /** Nothing new is sent from now on; what is under way may still be answered. */
  #end(reason: CallError): void {
    this.calls.refuse(reason);
    if (!this.#hasEnded) this.#listener.end(reason);
    this.#hasEnded = true;
    this.#resolveEnded(reason);
    if (this.#requests.size === 0) this.#fetcher.close();
  }

  #failure(how: string): CallError {
    const { upstream } = this.#target;
    return new CallError("connection_lost", `${upstream} ${how}`, { outcome: "failed", upstream });
  }
}

function redirectOf(response: Response, from: URL): URL | undefined {
  const location = response.headers.get("location");
  if (!redirects.includes(response.status) || location === null) return undefined;
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (to?.origin !== from.origin) return undefined;
  void response.body?.cancel().catch(() => {});
  return to;
}
