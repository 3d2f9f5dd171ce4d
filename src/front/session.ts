import type { Caller, JsonObject, Result } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError, disconnected, messageOf, type RpcError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { KeyTable } from "../key-table.ts";
import { logLevels, underName } from "../log-levels.ts";
import type { PeerSlot } from "../peer.ts";
import { isAble, isQuestion, notAble } from "../questions.ts";
import {
  answerLine,
  errorLine,
  isObject,
  lengthOf,
  type Line,
  parseMessages,
  resultLine,
  textOf,
  toJson,
} from "../wire.ts";
import { Asking } from "./asking.ts";
import { ClientLevel } from "./client-level.ts";
import { clientName } from "./client-name.ts";
import { ClientRequests } from "./client-requests.ts";
import { takenBack, type RequestId } from "./exchange.ts";
import { isRequest, notWelcome, welcome, wrongParams } from "./handshake.ts";
import { isListMethod, ListTexts, type ListMethod } from "./list-texts.ts";
import { ListView } from "./list-view.ts";
import { Relay, type Told } from "./relay.ts";
import { isRelayed, Routes } from "./routes.ts";
import { SessionRequest, type Ends } from "./session-request.ts";
import { notRead } from "./unread.ts";

/** JSON-RPC's codes that we give ourselves. */
const invalidRequest = -32600;
const methodNotFound = -32601;
const invalidParams = -32602;
const parseError = -32700;

const notRequest: RpcError = { code: invalidRequest, message: "Invalid Request" };

/** What a client may ask before it has said who it is. */
const beforeInitialize = new Set(["server/discover", "ping"]);

/** What a session needs besides the gateway. */
export interface SessionOptions {
  readonly principal: string;
  readonly session: string;
  /** Sends one message, as a line without its end, and which request of the client it belongs to, if any. Never throws. */
  readonly write: (line: string, about?: RequestId) => void;
  /** Sends the answer to a request in the same way; undefined: none will come, as it was taken back. Default: `write`. */
  readonly answer?: (id: RequestId, line: Line | undefined) => void;
  /** Resolves when as many upstreams as can be waited for have told their lists. */
  readonly listed: () => Promise<void>;
  /** Whether an answer of so many characters is too much for a client that does not read. Default: none is. */
  readonly refuses?: (length: number) => boolean;
  /** The lists as text, where other clients have them too. Default: its own. */
  readonly texts?: ListTexts;
  /** Whether other clients use the same servers, whose tasks are none of this one's. Default false. */
  readonly isOneOfMany?: boolean;
  /** Where the servers find this client. */
  readonly peer: PeerSlot;
  /** Takes the messages that are of another era; tells whether it did. */
  readonly takeOther?: (message: JsonObject) => boolean;
  /** Told what of a server's cannot be passed on. */
  readonly onProblem: (problem: string) => void;
}

/** One client: what it asks of servers, and what servers ask of it. */
export class Session {
  readonly #gateway: Gateway;
  readonly #options: SessionOptions;
  readonly #lists: ListView;
  readonly #routes: Routes;
  readonly #relay: Relay;
  readonly #asking: Asking;
  readonly #questions: ClientRequests;
  readonly #stopWatching: () => void;
  readonly #requests = new KeyTable<RequestId, SessionRequest>();
  readonly #ends: Ends = {
    answered: (request, result) => {
      if (this.#finish(request)) this.#answer(request, result);
    },
    failed: (request, told) => {
      if (this.#finish(request)) this.#tell(request.id, told);
    },
  };
  readonly #level: ClientLevel;
  /** Resolves when the client says that it is initialised: servers ask it nothing before. */
  readonly #initialized: Promise<void>;
  #setInitialized = (): void => {};
  /** Whether the client has asked anything of a session: one of another era is told nothing by this one. */
  #met = false;
  /** What the client has said that it can do. */
  #announced: JsonObject = {};
  #caller: Caller;

  constructor(gateway: Gateway, options: SessionOptions) {
    this.#gateway = gateway;
    this.#options = options;
    const texts = options.texts ?? new ListTexts(gateway, options.onProblem);
    this.#lists = new ListView(texts, (method) => this.#notify(method));
    this.#routes = new Routes(gateway);
    this.#relay = new Relay(gateway, this.#routes, options.listed);
    this.#level = new ClientLevel(gateway, (...request) => this.#own(...request));
    this.#initialized = new Promise((resolve) => (this.#setInitialized = resolve));
    this.#questions = new ClientRequests((message, about) =>
      options.write(JSON.stringify(message), about),
    );
    this.#asking = new Asking(
      gateway,
      options.session,
      async (upstream, method, params, signal) => {
        await this.#initialized;
        if (isQuestion(method) && !isAble(this.#announced, method, params)) throw notAble(method);
        return this.#questions.ask(method, params, signal, this.#requestAt(upstream));
      },
    );
    this.#stopWatching = gateway.watch({
      changed: () => {
        this.#lists.changed();
        this.#level.tell();
      },
      notified: (upstream, method, params, isFor) => {
        if (isFor === undefined || isFor(this.#caller)) this.#notified(upstream, method, params);
      },
    });
    const { principal, session } = options;
    this.#caller = { principal, session, client: "" };
  }

  /** Takes a line that the client sent. */
  receive(line: string): void {
    const messages = parseMessages(line);
    if (messages === undefined)
      this.#error(undefined, { code: parseError, message: "Parse error: expected JSON-RPC" });
    else for (const message of messages) this.take(message);
  }

  /** Takes a message that the client sent. */
  take(message: JsonObject): void {
    if (this.#options.takeOther?.(message) === true) return;
    const { id, method, params } = message;
    if (typeof method !== "string") this.#questions.receive(message);
    else if (id === undefined) this.#takeNotification(method, params);
    else if (typeof id !== "string" && typeof id !== "number")
      this.#error(undefined, { code: invalidRequest, message: "Invalid request id" });
    else if (method === "initialize") this.#initialize(id, message);
    else {
      if (!this.#met && !beforeInitialize.has(method)) this.#meet({});
      this.#takeRequest(id, method, params, message);
    }
  }

  /** The client has gone: nothing more is written. */
  close(): void {
    this.#stopWatching();
    this.#lists.close();
    for (const { signal } of this.#requests.values()) signal.cancel(disconnected);
    this.#questions.end(disconnected);
  }

  /** How many requests are under way. */
  get inFlight(): number {
    return this.#requests.size;
  }

  #takeRequest(id: RequestId, method: string, params: unknown, message: JsonObject): void {
    if (isListMethod(method) || method === "tasks/list") this.#list(id, method, params);
    else if (method === "logging/setLevel") this.#setLevel(id, params);
    else {
      const wrong = wrongParams(params);
      if (wrong !== undefined) this.#error(id, wrong);
      else if (isRelayed(method)) this.#request(id, method, (params ?? {}) as JsonObject);
      else if (!isRequest(message)) this.#error(id, notRequest);
      else if (method === "ping") this.#reply(id, resultLine(id, {}));
      else this.#error(id, { code: methodNotFound, message: "Method not found" });
    }
  }

  #takeNotification(method: string, params: unknown): void {
    if (method === "notifications/cancelled") this.#cancel(params);
    else if (method === "notifications/progress") this.#asking.passProgress(params);
    else if (method === "notifications/initialized") this.#setInitialized();
    else if (method === "notifications/roots/list_changed")
      this.#gateway.notifyAll(method, {}, this.#caller.session);
  }

  #request(id: RequestId, method: string, params: JsonObject): void {
    const token = (params["_meta"] as JsonObject | undefined)?.["progressToken"];
    const request = new SessionRequest(id, method, params, this.#caller, this.#ends);
    if (token !== undefined)
      request.onProgress = (progress) => {
        if (this.#requests.get(id) === request)
          this.#notify("notifications/progress", { progressToken: token, ...progress }, id);
      };
    this.#requests.add(id, request);
    this.#relay.send(request);
  }

  /** Forgets a request that has ended; tells whether its caller still wants the answer. */
  #finish(request: SessionRequest): boolean {
    this.#requests.remove(request.id, request);
    if (request.signal.reason === undefined) return true;
    this.#reply(request.id, undefined);
    return false;
  }

  /** A result that was read but cannot be written is told as the bad answer that it is. */
  #answer(request: SessionRequest, result: Result): void {
    const { id } = request;
    let line: Line;
    try {
      line = answerLine(id, result);
    } catch (cause) {
      const why = `the answer came but cannot be passed on: ${messageOf(cause)}`;
      const error = new CallError("bad_answer", why, { outcome: "unknown", cause });
      return this.#tell(id, this.#relay.told(error, request));
    }
    if (this.#options.refuses?.(lengthOf(line)) === true)
      this.#tell(id, this.#relay.told(notRead(), request));
    else this.#reply(id, line);
  }

  #tell(id: RequestId, told: Told): void {
    if ("error" in told) this.#error(id, told.error);
    else this.#reply(id, resultLine(id, told.result));
  }

  #cancel(params: unknown): void {
    if (!isObject(params)) return;
    const { requestId, reason } = params;
    this.#requests.get(requestId as RequestId)?.signal.cancel(takenBack(reason));
  }

  /** Lists come whole, so no cursor was ever given. */
  #list(id: RequestId, method: ListMethod | "tasks/list", params: unknown): void {
    const cursor = isObject(params) ? params["cursor"] : undefined;
    if (cursor !== undefined && cursor !== null)
      this.#error(id, { code: invalidParams, message: `Unknown cursor: ${toJson(cursor)}` });
    else if (method === "tasks/list") this.#listTasks(id);
    else void this.#sendList(id, method);
  }

  async #sendList(id: RequestId, method: ListMethod): Promise<void> {
    await this.#options.listed();
    const text = this.#lists.text(method);
    this.#reply(id, `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${text}}`);
  }

  #setLevel(id: RequestId, params: unknown): void {
    const level = isObject(params) ? params["level"] : undefined;
    if (!logLevels.includes(level))
      return this.#error(id, {
        code: invalidParams,
        message: `expected params.level to be one of ${logLevels.join(", ")}`,
      });
    this.#level.set(level);
    this.#reply(id, resultLine(id, {}));
  }

  /** All tasks of all servers, as far as they are this client's. */
  #listTasks(id: RequestId): void {
    const owners = this.#gateway.upstreams.filter((upstream) => upstream.can("tasks"));
    const ask = async (upstream: string): Promise<unknown[]> => {
      const route = { upstream, params: {} };
      const result = await this.#own(upstream, "tasks/list", {}).catch((): Result => ({}));
      const tasks = Array.isArray(result["tasks"]) ? result["tasks"].filter(isObject) : [];
      const own = tasks.filter(({ taskId }) => this.#mayKnow(taskId));
      this.#routes.learn("tasks/list", route, { tasks: own });
      return own.filter((task) => toJson([task]) !== undefined);
    };
    void Promise.all(owners.map(({ name }) => ask(name))).then((lists) =>
      this.#tell(id, { result: { tasks: lists.flat() } }),
    );
  }

  /** Whether a task may be one of this client's. */
  #mayKnow(taskId: unknown): boolean {
    return this.#options.isOneOfMany !== true || this.#routes.knowsTask(taskId);
  }

  /** A request of the session's own to one server. */
  #own(upstream: string, method: string, params: JsonObject): Promise<Result> {
    return this.#gateway.send({
      upstream,
      method,
      params,
      caller: this.#caller,
      signal: new Cancel(),
    });
  }

  #notified(upstream: string, method: string, params: JsonObject): void {
    if (!this.#met) return;
    if (method === "notifications/message") {
      if (this.#level.wants(params["level"])) this.#notify(method, underName(upstream, params));
    } else if (method === "notifications/resources/updated") {
      const uri = this.#routes.subscribedAs(upstream, params["uri"]);
      if (uri !== undefined) this.#notify(method, { ...params, uri });
    } else if (method !== "notifications/tasks/status" || this.#mayKnow(params["taskId"]))
      this.#notify(method, params);
  }

  #initialize(id: RequestId, message: JsonObject): void {
    if (!isRequest(message)) return this.#error(id, notRequest);
    const { params } = message;
    const { clientInfo, capabilities: announced } = isObject(params) ? params : {};
    this.#caller = { ...this.#caller, client: clientName(clientInfo) };
    if (isObject(announced)) this.#announced = announced;
    const answer = welcome(params, this.#gateway);
    if (answer === undefined) this.#error(id, notWelcome);
    else this.#reply(id, resultLine(id, answer));
    this.#meet(this.#announced, this.#asking.ask);
  }

  #meet(...introduction: Parameters<PeerSlot["introduce"]>): void {
    this.#met = true;
    this.#options.peer.introduce(...introduction);
  }

  /** A request that is at that server now: what it asks belongs to that one, as far as can be told. */
  #requestAt(upstream: string): RequestId | undefined {
    for (const [id, { route }] of this.#requests.entries())
      if (route?.upstream === upstream) return id;
    return undefined;
  }

  #notify(method: string, params?: JsonObject, about?: RequestId): void {
    const line = toJson({ jsonrpc: "2.0", method, params });
    if (line !== undefined) this.#options.write(line, about);
    else this.#options.onProblem(`left out ${method}, which is nested too deep to be passed on`);
  }

  /** Without the error's data where that cannot be written. */
  #error(id: RequestId | undefined, error: RpcError): void {
    const line = errorLine(id, error);
    if (id === undefined) this.#options.write(line);
    else this.#reply(id, line);
  }

  #reply(id: RequestId, line: Line | undefined): void {
    const { answer, write } = this.#options;
    if (answer !== undefined) answer(id, line);
    else if (line !== undefined) write(textOf(line), id);
  }
}
