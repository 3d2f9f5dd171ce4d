import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { SUPPORTED_PROTOCOL_VERSIONS } from "@modelcontextprotocol/sdk/types.js";
import type { JsonObject } from "../call.ts";
import { messageOf } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { settlesWithin, sleep } from "../time.ts";
import { isObject } from "../wire.ts";
import { readBody, type Body } from "./http-body.ts";
import { Guard } from "./http-guard.ts";
import type { HttpOptions } from "./http-options.ts";
import { isRefusal, json, refusal, refuse, type Refusal } from "./http-reply.ts";
import { HttpSessions, type SessionsOptions } from "./http-sessions.ts";

const endpoint = "/mcp";
const drainTick = 20;
/** Milliseconds that what was written has to be read when all is over. */
const farewell = 500;
/** Milliseconds between two looks for requests that take too long to arrive. */
const lookForSlow = 1000;

const invalidRequest = -32600;
const sessionNotFound = -32001;
const unsupportedVersion = -32022;

/** Where a request of the newer era names its version. */
const versionKey = "io.modelcontextprotocol/protocolVersion";

/** A message of the era that knows no sessions: from 2026 on. All checks of the transport were made. */
export interface StatelessRequest {
  readonly message: JsonObject;
  readonly principal: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** What the HTTP front needs beside the gateway and its options. */
export interface HttpSurroundings extends Omit<SessionsOptions, "limits"> {
  /** Answers messages of the newer era. Default: they are refused. */
  readonly stateless?: (request: StatelessRequest) => void;
}

/** MCP by Streamable HTTP, for any number of clients. */
export class HttpFront {
  readonly #server: Server;
  readonly #options: HttpOptions;
  readonly #surroundings: HttpSurroundings;
  readonly #guard: Guard;
  readonly #sessions: HttpSessions;
  #isReady = false;
  #isDraining = false;

  constructor(gateway: Gateway, options: HttpOptions, surroundings: HttpSurroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.#guard = new Guard(options);
    this.#sessions = new HttpSessions(gateway, { ...surroundings, limits: options });
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

  /** Takes no new requests; resolves when those under way are answered, within `ms` milliseconds. */
  async drain(ms: number): Promise<void> {
    this.#isDraining = true;
    const answered = async (): Promise<void> => {
      // oxlint-disable-next-line no-await-in-loop -- it waits
      while (this.#sessions.inFlight > 0) await sleep(drainTick);
    };
    await settlesWithin(answered(), ms);
  }

  /** Ends all sessions and connections. */
  async close(): Promise<void> {
    this.#isDraining = true;
    this.#sessions.close();
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
    const path = request.url?.replace(/\?.*/s, "");
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
    if (!accepts(headers.accept, "application/json", "text/event-stream"))
      return refuse(
        response,
        refusal(406, "Not Acceptable: accept both application/json and text/event-stream"),
      );
    const body = await readBody(request, this.#options);
    if (isRefusal(body)) return refuse(response, body);
    const [message = {}] = body.messages;
    const version = modernVersion(headers["mcp-protocol-version"], message);
    if (version !== undefined) return this.#stateless(version, body, request, response, principal);
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
          ? gone
          : refusal(400, "Invalid Request: the session is initialised", { code }),
      );
    const session = this.#sessions.open(principal);
    if (session === undefined) refuseWith(full);
    else session.post({ messages: body.messages, isBatch: false }, response);
  }

  #listen(request: IncomingMessage, response: ServerResponse, principal: string): void {
    const { headers } = request;
    if (modernVersion(headers["mcp-protocol-version"]) !== undefined)
      return refuse(response, notAllowed);
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
    if (session === undefined) return gone;
    const version = headers["mcp-protocol-version"];
    if (version === undefined || SUPPORTED_PROTOCOL_VERSIONS.includes(String(version)))
      return session;
    return refusal(
      400,
      `Bad Request: unsupported protocol version (supported: ${SUPPORTED_PROTOCOL_VERSIONS.join(", ")})`,
    );
  }

  #stateless(
    version: string,
    { messages, isBatch }: Body,
    request: IncomingMessage,
    response: ServerResponse,
    principal: string,
  ): void {
    const { stateless } = this.#surroundings;
    const [message = {}] = messages;
    if (stateless === undefined) refuse(response, unsupported(version), message["id"]);
    else if (isBatch)
      refuse(response, refusal(400, "Invalid Request: no batches", { code: invalidRequest }));
    else if (this.#isDraining) refuse(response, draining, message["id"]);
    else stateless({ message, principal, request, response });
  }
}

const notAllowed = refusal(405, "Method Not Allowed", { headers: { allow: "GET, POST, DELETE" } });
const gone = refusal(404, "Session not found", { code: sessionNotFound });
const full = refusal(503, "Service Unavailable: too many sessions", {
  headers: { "retry-after": "10" },
});
const draining = refusal(503, "Service Unavailable: the gateway is about to end", {
  headers: { "retry-after": "5", connection: "close" },
});
const unsupported = (requested: string): Refusal =>
  refusal(400, "Unsupported protocol version", {
    code: unsupportedVersion,
    data: { supported: SUPPORTED_PROTOCOL_VERSIONS, requested },
  });

const modern = /^20(2[6-9]|[3-9]\d)-\d\d-\d\d$/;

/** The version that a request names, where it is of the era without sessions. */
function modernVersion(
  header: string | string[] | undefined,
  { params }: JsonObject = {},
): string | undefined {
  if (header !== undefined && modern.test(String(header))) return String(header);
  const meta = isObject(params) ? params["_meta"] : undefined;
  const named = isObject(meta) ? meta[versionKey] : undefined;
  return typeof named === "string" ? named : undefined;
}

/** Whether a client takes all these types. One that does not say takes any. */
function accepts(accept: string | undefined, ...types: readonly string[]): boolean {
  if (accept === undefined) return true;
  const taken = accept.split(",").map((part) => part.replace(/;.*/s, "").trim().toLowerCase());
  return types.every((type) =>
    [type, type.replace(/\/.*/, "/*"), "*/*"].some((range) => taken.includes(range)),
  );
}
