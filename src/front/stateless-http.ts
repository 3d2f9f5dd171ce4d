import type { IncomingMessage, ServerResponse } from "node:http";
import type { JsonObject } from "../call.ts";
import { cancelled } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { Exchange, type RequestId } from "./exchange.ts";
import type { HttpLimits } from "./http-options.ts";
import { refusal, refuse } from "./http-reply.ts";
import { OpenResponses } from "./open-responses.ts";
import { Stateless, type StatelessOptions } from "./stateless.ts";
import { mismatch } from "./stateless-headers.ts";
import { StatelessReply } from "./stateless-reply.ts";
import type { Unread } from "./unread.ts";

const invalidRequest = -32600;
const headerMismatch = -32020;

/** A message that was posted. All checks of the transport were made. */
export interface Posted {
  readonly message: JsonObject;
  readonly principal: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface Options extends Pick<StatelessOptions, "listed" | "peers" | "onProblem"> {
  readonly limits: HttpLimits;
  readonly unread: Unread;
}

/** The requests without a session that come by HTTP. */
export class StatelessHttp {
  readonly #gateway: Gateway;
  readonly #options: Options;
  readonly #clients = new Map<string, Stateless>();
  readonly #neighbours: NonNullable<StatelessOptions["neighbours"]> = new Set();
  /** The responses that are open, by principal. */
  readonly #open = new Map<string, OpenResponses>();

  constructor(gateway: Gateway, options: Options) {
    this.#gateway = gateway;
    this.#options = options;
  }

  /** How many requests wait for their answer, those that listen not counted. */
  get inFlight(): number {
    let count = 0;
    for (const client of this.#clients.values()) count += client.inFlight;
    return count;
  }

  take({ message, principal, request, response }: Posted): void {
    // It went while this was loaded, and will not be told to close again.
    if (response.destroyed) return;
    const { id, method } = message;
    if (typeof method !== "string")
      return refuse(
        response,
        refusal(400, "Invalid Request: no answers", { code: invalidRequest }),
      );
    // A request is taken back by closing its response: no notification means anything here.
    if (id === undefined) return void response.writeHead(202).end();
    const { limits, unread } = this.#options;
    const open = this.#openOf(principal);
    if (open.size >= limits.maxSessions || unread.isFull(open))
      return refuse(response, refusal(429, "Too Many Requests", tryAgain), id);
    const problem = mismatch(request.headers, message, (name) =>
      this.#gateway.findTool(name, false),
    );
    if (problem !== undefined) {
      const what = `Header mismatch: ${problem}`;
      return refuse(response, refusal(400, what, { code: headerMismatch }), id);
    }
    const reply = new StatelessReply(response, limits.keepAliveMs);
    const exchange = new Exchange(id as RequestId, reply.write);
    const leave = open.add(response);
    response.on("close", () => {
      leave();
      if (exchange.isOpen) exchange.cancel(cancelled("the client took it back"));
    });
    this.#client(principal).take(message, exchange);
  }

  /** Ends all that is under way for these principals. Default: all. */
  end(isOut: (principal: string) => boolean = () => true): void {
    for (const [principal, client] of this.#clients) {
      if (!isOut(principal)) continue;
      this.#clients.delete(principal);
      client.close();
    }
  }

  #openOf(principal: string): OpenResponses {
    let open = this.#open.get(principal);
    if (open === undefined) this.#open.set(principal, (open = new OpenResponses()));
    return open;
  }

  #client(principal: string): Stateless {
    let client = this.#clients.get(principal);
    if (client === undefined) {
      const { listed, peers, onProblem, unread } = this.#options;
      const session = `stateless-${principal}`;
      const neighbours = this.#neighbours;
      const open = this.#openOf(principal);
      const refuses = (length: number): boolean => unread.refuses(open, length);
      const common = { listed, peers, onProblem, neighbours, refuses };
      client = new Stateless(this.#gateway, { principal, session, ...common });
      this.#clients.set(principal, client);
    }
    return client;
  }
}

const tryAgain = { headers: { "retry-after": "1" } };
