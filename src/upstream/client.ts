/*
 * A server of the older era: handshake, lists, notifications, and what the server asks of the client.
 * Calls do not come through here.
 */
import type { JsonObject, Result } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError, cancelled, messageOf } from "../errors.ts";
import { olderVersions } from "../era.ts";
import type { Peers, Peer } from "../peer.ts";
import { isQuestion } from "../questions.ts";
import { implementation } from "../version.ts";
import { isObject } from "../wire.ts";
import { aliveDuring } from "./alive.ts";
import { serverInfo, type ServerInfo, type Session } from "./connection.ts";
import type { Link, Send } from "./link.ts";
import { listPages } from "./list-pages.ts";
import { Notifications } from "./notifications.ts";
import type { OwnRequests } from "./own-requests.ts";

/** Whom a server may ask. */
export interface Asked {
  /** Who is there whatever is under way; what it can do is what the server is told. */
  readonly peer: Peer;
  readonly peers: Peers;
  /** Told when a server has asked something that only the calls under way tell whom. */
  readonly onAsked?: () => void;
}

/** What carries the messages. */
export interface OlderWire {
  readonly send: Send;
  /** Calls, which are answered past the session. */
  readonly calls: Link;
  readonly own: OwnRequests;
  /** Tells from now on what comes and answers no call, and when nothing comes any more. */
  listen(take: (message: JsonObject) => void, end: (reason: CallError) => void): void;
  /** Tells the server that it is initialised, in that version; resolves when it has taken that, as far as can be told. */
  initialized(version: string): Promise<void>;
}

const methodNotFound = -32601;
const internalError = -32603;

/** Notifications about requests, which are not told. */
const aboutRequests = new Set(["notifications/cancelled", "notifications/progress"]);

/**
 * Initialises a server over `wire`, within `timeoutMs` once the client is known. What the server asks goes
 * to the client whose calls are under way, or to `peer` where it cannot be told whose they are; meanwhile the
 * calls are told that the server is at work, so that those that wait for a person do not time out.
 */
export async function openSession(
  upstream: string,
  wire: OlderWire,
  timeoutMs: number,
  asked: Asked,
): Promise<Session> {
  const { send, calls, own } = wire;
  const known = await asked.peer.capabilities;
  const notifications = new Notifications();
  const questions = new ServerQuestions(upstream, asked, wire);
  wire.listen(
    (message) => {
      const { id, method, params } = message;
      if (typeof method !== "string") own.receive(message);
      else if (id !== undefined) questions.answer(id, method, params);
      else if (method === "notifications/cancelled") questions.takeBack(params);
      else if (!aboutRequests.has(method))
        notifications.tell(method, isObject(params) ? params : {}, calls.aboutOf(message));
    },
    (reason) => questions.end(reason),
  );
  const info = await initialize(own, known, timeoutMs);
  await wire.initialized(info.protocolVersion);
  return {
    info,
    list: (list, limit) =>
      listPages(list, info.capabilities, (method, params) =>
        own.ask(method, params, limit).catch(unlessUnknown),
      ),
    async ping(limit) {
      await own.ask("ping", {}, limit).catch((error: unknown) => {
        if (!(error instanceof CallError) || error.rpc === undefined) throw error;
      });
    },
    request: (method, params, limit) => own.ask(method, params, limit),
    notify: (method, params) => void send({ jsonrpc: "2.0", method, params }),
    onNotification: (listener) => notifications.listen(listener),
  };
}

/** Rejects with a CallError where the connection failed, and with another error where the server's answer is none to go on from. */
async function initialize(
  own: OwnRequests,
  capabilities: JsonObject,
  timeoutMs: number,
): Promise<ServerInfo> {
  const params = {
    protocolVersion: olderVersions[0],
    capabilities,
    clientInfo: implementation,
  };
  const result = await own.ask("initialize", params, timeoutMs).catch((error: unknown) => {
    throw isAboutAnswer(error) ? new Error(messageOf(error), { cause: error }) : error;
  });
  const { protocolVersion: version } = result;
  if (typeof version !== "string" || !olderVersions.includes(version))
    throw new Error(`Server's protocol version is not supported: ${String(version)}`);
  return serverInfo(version, result["serverInfo"], result);
}

/** Whether an error says what the server answered, or that it did not; what a failed connection says is enough by itself. */
const isAboutAnswer = (error: unknown): boolean =>
  error instanceof CallError &&
  (error.code === "timeout" ||
    error.code === "bad_answer" ||
    (error.code === "upstream_error" && error.status === undefined));

/** Whether the error of `openSession` is one that the server sent. */
export const isAnswer = (error: unknown): boolean =>
  error instanceof Error && error.cause instanceof CallError && error.cause.rpc !== undefined;

/** Servers announce resources and know no templates. */
function unlessUnknown(error: unknown): undefined {
  if (!(error instanceof CallError) || error.rpc?.code !== methodNotFound) throw error;
}

/** What a server asks, until it is answered. */
class ServerQuestions {
  readonly #upstream: string;
  readonly #asked: Asked;
  readonly #wire: OlderWire;
  readonly #open = new Map<unknown, Cancel>();

  constructor(upstream: string, asked: Asked, wire: OlderWire) {
    this.#upstream = upstream;
    this.#asked = asked;
    this.#wire = wire;
  }

  answer(id: unknown, method: string, params: unknown): void {
    const { send } = this.#wire;
    if (method === "ping") return void send({ jsonrpc: "2.0", id, result: {} });
    const cancel = new Cancel();
    this.#open.set(id, cancel);
    const respond = (answer: JsonObject): void => {
      if (cancel.reason === undefined) send({ jsonrpc: "2.0", id, ...answer });
      if (this.#open.get(id) === cancel) this.#open.delete(id);
    };
    this.#ask(id, method, isObject(params) ? params : {}, cancel.abortSignal()).then(
      (result) => respond({ result }),
      (error: unknown) => respond({ error: asRpcError(error) }),
    );
  }

  takeBack(params: unknown): void {
    const { requestId, reason } = isObject(params) ? params : {};
    const why = typeof reason === "string" ? reason : "the server took its question back";
    this.#open.get(requestId)?.cancel(cancelled(why));
  }

  end(reason: CallError): void {
    for (const cancel of this.#open.values()) cancel.cancel(reason);
  }

  async #ask(
    id: unknown,
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<Result> {
    const { calls } = this.#wire;
    const { peer, peers, onAsked } = this.#asked;
    const caller = calls.askedOf(id);
    const found = caller === undefined ? peers.only(calls.suspects()) : peers.of(caller);
    if (caller === undefined && isQuestion(method)) onAsked?.();
    const answer = (found ?? peer).ask(this.#upstream, method, params, signal);
    return aliveDuring(() => calls.alive(), answer);
  }
}

/** The client's own error, as it stands on the wire. */
function asRpcError(error: unknown): JsonObject {
  const { code, data } = (error ?? {}) as { readonly code?: unknown; readonly data?: unknown };
  return {
    code: Number.isSafeInteger(code) ? code : internalError,
    message: messageOf(error),
    ...(data !== undefined && { data }),
  };
}
