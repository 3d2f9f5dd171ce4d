import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { isStateless, olderVersions } from "../era.ts";
import { messageOf } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { endOfTurn, settlesWithin, sleep } from "../time.ts";
import { readBody, type Body } from "./http-body.ts";
import { Guard } from "./http-guard.ts";
import type { Access, HttpOptions } from "./http-options.ts";
import { isRefusal, json, refusal, refuse, sessionGone, type Refusal } from "./http-reply.ts";
import { HttpSessions, type SessionsOptions } from "./http-sessions.ts";
import type { StatelessHttp } from "./stateless-http.ts";
import { Unread } from "./unread.ts";

const endpoint = "/mcp";
const drainTick = 20;
/** Milliseconds that what was written has to be read when all is over. */
const farewell = 500;
/** Milliseconds between two looks for requests that take too long to arrive. */
const lookForSlow = 1000;

const invalidRequest = -32600;

/** What the HTTP front needs beside the gateway and its options. */
export type HttpSurroundings = Omit<SessionsOptions, "limits" | "unread">;

/** MCP by Streamable HTTP, for any number of clients. */
export class HttpFront {
  readonly #server: Server;
  readonly #options: HttpOptions;
  readonly #surroundings: HttpSurroundings;
  #guard: Guard;
  readonly #sessions: HttpSessions;
  readonly #loadStateless: () => Promise<StatelessHttp>;
  #loading: Promise<StatelessHttp> | undefined;
  #stateless: StatelessHttp | undefined;
  #isReady = false;
  #isDraining = false;

  constructor(gateway: Gateway, options: HttpOptions, surroundings: HttpSurroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.#guard = new Guard(options);
    const common = { ...surroundings, limits: options, unread: new Unread(options.maxUnreadBytes) };
    this.#sessions = new HttpSessions(gateway, common);
    this.#loadStateless = async () => {
      const { StatelessHttp: Loaded } = await import("./stateless-http.ts");
      return (this.#stateless = new Loaded(gateway, common));
    };
    void surroundings.listed().then(() => (this.#isReady = true));
    const { requestTimeoutMs } = options;
    this.#server = createServer(
      {
        requestTimeout: requestTimeoutMs,
        headersTimeout: requestTimeoutMs,
        connectionsCheckingInterval: Math.min(lookForSlow, requestTimeoutMs),
      },
      (request, response) => this.#take(request, response),
    );
  }

  /** Begins to listen; resolves with the address of the endpoint. Rejects where it cannot be listened on. */
  listen(): Promise<string> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        const { port: given } = this.#server.address() as AddressInfo;
        resolve(`http://${host.includes(":") ? `[${host}]` : host}:${given}${endpoint}`);
      });
    });
  }

  /** Lets these in from now on; what is open of those who are not among them any more is ended. */
  letIn(access: Omit<Access, "host">): void {
    this.#guard = new Guard({ ...access, host: this.#options.host });
    const isOut = (principal: string): boolean => !this.#guard.knows(principal);
    this.#sessions.end(isOut);
    this.#stateless?.end(isOut);
  }

  /** Takes no new requests; resolves when those under way are answered, within `ms` milliseconds. */
  async drain(ms: number): Promise<void> {
    this.#isDraining = true;
    const answered = async (): Promise<void> => {
      // oxlint-disable-next-line no-await-in-loop -- it waits
      while (this.#sessions.inFlight + (this.#stateless?.inFlight ?? 0) > 0) await sleep(drainTick);
    };
    await settlesWithin(answered(), ms);
  }

  /** Ends all sessions and connections. */
  async close(): Promise<void> {
    this.#isDraining = true;
    this.#sessions.close();
    this.#stateless?.end();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections();
    await settlesWithin(closed, farewell);
    this.#server.closeAllConnections();
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    response.on("error", () => {}); // the client has gone
    this.#answer(request, response).catch((error: unknown) => {
      // A client that goes while it sends is no problem of ours.
      if (response.destroyed || request.destroyed) return;
      this.#surroundings.onProblem(`a request by HTTP could not be answered: ${messageOf(error)}`);
      refuse(response, refusal(500, "Internal error", { code: -32603 }));
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url = "" } = request;
    const query = url.indexOf("?");
    const path = query === -1 ? url : url.slice(0, query);
    if (path === "/healthz") return json(response, 200, '{"status":"alive"}');
    if (path === "/readyz") return this.#tellReady(response);
    if (path !== endpoint) return refuse(response, refusal(404, "Not Found"));
    const { method, headers } = request;
    if (method === "OPTIONS") return this.#preflight(request, response);
    const admitted = this.#guard.admit(headers);
    if (isRefusal(admitted)) return refuse(response, admitted);
    for (const [name, value] of Object.entries(admitted.headers)) response.setHeader(name, value);
    const { principal } = admitted;
    if (method === "POST") return this.#post(request, response, principal);
    // What is older has sessions, which can be listened to and ended.
    if (isModern(headers)) return refuse(response, onlyPost);
    if (method === "GET") return this.#listen(request, response, principal);
    if (method === "DELETE") return this.#end(request, response, principal);
    return refuse(response, notAllowed);
  }

  #tellReady(response: ServerResponse): void {
    if (this.#isDraining) json(response, 503, '{"status":"draining"}');
    else if (this.#isReady) json(response, 200, '{"status":"ready"}');
    else json(response, 503, '{"status":"starting"}');
  }

  #preflight({ headers }: IncomingMessage, response: ServerResponse): void {
    const allowed = this.#guard.preflight(headers);
    if (allowed === undefined) refuse(response, notAllowed);
    else response.writeHead(204, allowed).end();
  }

  async #post(
    request: IncomingMessage,
    response: ServerResponse,
    principal: string,
  ): Promise<void> {
    const { headers } = request;
    if (!/^application\/json *(;|$)/i.test(headers["content-type"] ?? ""))
      return refuse(response, refusal(415, "Unsupported Media Type: expected application/json"));
    if ((headers["content-encoding"] ?? "identity") !== "identity")
      return refuse(response, refusal(415, "Unsupported Media Type: expected no Content-Encoding"));
    if (!accepts(headers.accept, "application/json", "text/event-stream"))
      return refuse(
        response,
        refusal(406, "Not Acceptable: accept both application/json and text/event-stream"),
      );
    const body = await readBody(request, this.#options);
    if (isRefusal(body)) return refuse(response, body);
    // So what all of them send to a server goes out in one write.
    await endOfTurn();
    const [message = {}] = body.messages;
    if (isStateless(message) || isModern(headers))
      return this.#postStateless(body, request, response, principal);
    const isRequest = body.messages.some(
      ({ id, method: name }) => name !== undefined && id !== undefined,
    );
    if (this.#isDraining && isRequest) return refuse(response, draining, message["id"]);
    if (body.messages.some(({ method: name }) => name === "initialize"))
      return this.#initialize(body, headers["mcp-session-id"], response, principal);
    const session = this.#session(request, principal);
    if (isRefusal(session)) refuse(response, session, message["id"]);
    else session.post(body, response);
  }

  #initialize(
    body: Body,
    id: string | string[] | undefined,
    response: ServerResponse,
    principal: string,
  ): void {
    const [message] = body.messages;
    const refuseWith = (why: Refusal): void => refuse(response, why, message?.["id"]);
    const code = invalidRequest;
    if (body.messages.length > 1 || message?.["id"] === undefined)
      return refuseWith(refusal(400, "Invalid Request: initialize comes alone", { code }));
    if (id !== undefined)
      return refuseWith(
        this.#sessions.find(String(id), principal) === undefined
          ? sessionGone
          : refusal(400, "Invalid Request: the session is initialised", { code }),
      );
    const session = this.#sessions.open(principal);
    if (session === undefined) refuseWith(full);
    else session.post({ messages: body.messages, isBatch: false }, response);
  }

  #listen(request: IncomingMessage, response: ServerResponse, principal: string): void {
    const { headers } = request;
    if (!accepts(headers.accept, "text/event-stream"))
      return refuse(response, refusal(406, "Not Acceptable: accept text/event-stream"));
    const session = this.#session(request, principal);
    const last = headers["last-event-id"];
    if (isRefusal(session)) refuse(response, session);
    else session.listen(last === undefined ? undefined : String(last), response);
  }

  #end(request: IncomingMessage, response: ServerResponse, principal: string): void {
    const session = this.#session(request, principal);
    if (isRefusal(session)) return refuse(response, session);
    session.end();
    response.writeHead(204).end();
  }

  /** The session that a request names, of its principal. */
  #session({ headers }: IncomingMessage, principal: string) {
    const id = headers["mcp-session-id"];
    if (id === undefined) return refusal(400, "Bad Request: the Mcp-Session-Id header is missing");
    const session = this.#sessions.find(String(id), principal);
    if (session === undefined) return sessionGone;
    const version = headers["mcp-protocol-version"];
    if (version === undefined || olderVersions.includes(String(version))) return session;
    return refusal(
      400,
      `Bad Request: unsupported protocol version (supported: ${olderVersions.join(", ")})`,
    );
  }

  async #postStateless(
    { messages, isBatch }: Body,
    request: IncomingMessage,
    response: ServerResponse,
    principal: string,
  ): Promise<void> {
    const [message = {}] = messages;
    if (isBatch)
      return refuse(
        response,
        refusal(400, "Invalid Request: no batches", { code: invalidRequest }),
      );
    if (this.#isDraining) return refuse(response, draining, message["id"]);
    const stateless = this.#stateless ?? (await (this.#loading ??= this.#loadStateless()));
    stateless.take({ message, principal, request, response });
  }
}

const notAllowed = refusal(405, "Method Not Allowed", { headers: { allow: "GET, POST, DELETE" } });
const onlyPost = refusal(405, "Method Not Allowed", { headers: { allow: "POST" } });
const full = refusal(503, "Service Unavailable: too many sessions", {
  headers: { "retry-after": "10" },
});
const draining = refusal(503, "Service Unavailable: the gateway is about to end", {
  headers: { "retry-after": "5", connection: "close" },
});

const modern = /^20(2[6-9]|[3-9]\d)-\d\d-\d\d$/;

/** Whether a request names a version of the era without sessions. */
const isModern = ({ "mcp-protocol-version": version }: IncomingHttpHeaders): boolean =>
  modern.test(String(version));

/** What nearly all clients say that they take. */
const usual = "application/json, text/event-stream";

/** Whether a client takes all these types. One that does not say takes any. */
function accepts(accept: string | undefined, ...types: readonly string[]): boolean {
  if (accept === undefined || accept === usual) return true;
  const taken = accept.split(",").map((part) => part.replace(/;.*/s, "").trim().toLowerCase());
  return types.every((type) =>
    [type, type.replace(/\/.*/, "/*"), "*/*"].some((range) => taken.includes(range)),
  );
}
