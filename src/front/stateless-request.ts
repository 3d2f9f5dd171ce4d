import type { Caller, JsonObject, Progress, Result } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { modernErrors } from "../era.ts";
import { asCallError, CallError, cancelled, messageOf, type RpcError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import type { Peer } from "../peer.ts";
import { isAble, notAble } from "../questions.ts";
import { after } from "../time.ts";
import { errorLine, isObject, toJson } from "../wire.ts";
import { awaitTask } from "./early-tasks.ts";
import type { Exchange } from "./exchange.ts";
import type { Parked, Waiting } from "./parked.ts";
import { Questions } from "./questions.ts";
import type { Relay, Relayed, Told } from "./relay.ts";
import type { Route } from "./routes.ts";
import { asStatelessError, completeLine, inputRequiredLine } from "./stateless-answers.ts";
import type { RequestMeta } from "./stateless-meta.ts";
import { notRead } from "./unread.ts";

const internalError = -32603;
/** How a server of 2025-11-25 says that its user must open a page before it can answer. */
const urlRequired = -32042;

/** Milliseconds in which questions that come together share one answer. */
const gather = 10;

/** Requests that may be answered with questions. */
const mayAsk = new Set(["tools/call", "prompts/get", "resources/read"]);

/** Where a request belongs. */
export interface Home {
  readonly gateway: Gateway;
  readonly relay: Relay;
  readonly parked: Parked<StatelessRequest>;
  readonly onProblem: (problem: string) => void;
  /** Whether an answer of so many characters is too much for a client that does not read. Default: none is. */
  readonly refuses?: ((length: number) => boolean) | undefined;
  /** The client, where it is always the same. */
  readonly peer: Peer | undefined;
  /** No server works on the request any more. */
  ended(request: StatelessRequest): void;
}

/**
 * A request without a session, on its way to the servers. Where one asks the client meanwhile, the client is
 * answered with the questions, and the request waits for its repeat, which brings the answers.
 */
export class StatelessRequest implements Relayed, Peer, Waiting {
  readonly isRequest = true;
  readonly method: string;
  readonly params: JsonObject;
  readonly caller: Caller;
  readonly signal = new Cancel();
  readonly onProgress: ((progress: Progress) => void) | undefined;
  route: Route | undefined = undefined;
  begun: number | undefined = undefined;
  readonly #home: Home;
  #meta: RequestMeta;
  /** What waits for the answer; undefined while the client has to come back. */
  #exchange: Exchange | undefined;
  #questions: Questions | undefined;
  #isAboutToAsk = false;
  #ended: Told | undefined;

  constructor(
    { method, params, caller }: Pick<Relayed, "method" | "params" | "caller">,
    meta: RequestMeta,
    exchange: Exchange,
    home: Home,
  ) {
    this.method = method;
    this.params = params;
    this.caller = caller;
    this.#meta = meta;
    this.#exchange = exchange;
    exchange.owner = this;
    this.#home = home;
    this.onProgress =
      meta.progressToken === undefined ? undefined : (progress) => this.#progress(progress);
  }

  /** What the client can be asked with this request. */
  get capabilities(): Promise<JsonObject> {
    return Promise.resolve(this.#meta.capabilities);
  }

  repeats(upstream: string): boolean {
    return this.route?.upstream === upstream;
  }

  get within(): Peer | undefined {
    return this.#home.peer;
  }

  /** Whether an answer is waited for: not while the client has to come back. */
  get isAwaited(): boolean {
    return this.#exchange !== undefined;
  }

  /** The least severe log messages that it wants, as an index of the levels. */
  get level(): number {
    return this.#meta.level;
  }

  /** Whether the client can be asked that by answering this request. */
  canAsk(method: string, params: JsonObject): boolean {
    const { capabilities } = this.#meta;
    return (
      mayAsk.has(this.method) && this.#ended === undefined && isAble(capabilities, method, params)
    );
  }

  ask(_upstream: string, method: string, params: JsonObject, signal: AbortSignal): Promise<Result> {
    if (!this.canAsk(method, params)) return Promise.reject(notAble(method));
    this.#questions ??= new Questions();
    const answer = this.#questions.ask(method, params, signal);
    if (!this.#isAboutToAsk)
      after(gather, () => {
        this.#isAboutToAsk = false;
        this.#askClient();
      });
    this.#isAboutToAsk = true;
    return answer;
  }

  /** The client has come back with its answers. */
  resume(exchange: Exchange, meta: RequestMeta, responses: unknown): void {
    this.#exchange = exchange;
    exchange.owner = this;
    this.#meta = meta;
    if (this.#ended !== undefined) return this.#tell(exchange, this.#ended);
    this.#questions?.answer(responses);
    this.#askClient();
  }

  cancel(reason: CallError): void {
    this.signal.cancel(reason);
  }

  expire(): void {
    const reason = "the client did not answer what it was asked";
    this.#questions?.refuse(new Error(reason));
    this.signal.cancel(cancelled(reason));
  }

  answered(result: Result): void {
    const { task } = result;
    if (isObject(task) && this.params["task"] !== undefined) this.#awaitTask(task);
    else this.#end({ result });
  }

  failed(told: Told): void {
    if ("error" in told && told.error.code === urlRequired) this.#askForUrls(told.error);
    else this.#end(told);
  }

  /** Sends a notification that belongs to the request; drops it while the client has to come back. */
  note(method: string, params: JsonObject): void {
    const line = toJson({ jsonrpc: "2.0", method, params });
    if (line !== undefined) this.#exchange?.note(line);
    else this.#home.onProblem(`left out ${method}, which is nested too deep to be passed on`);
  }

  #awaitTask(task: JsonObject): void {
    const { gateway, relay } = this.#home;
    const { caller, signal, route } = this;
    awaitTask(gateway, { upstream: route?.upstream ?? "", caller, signal }, task).then(
      (result) => this.#end({ result }),
      (error: unknown) => this.failed(relay.told(asCallError(error), this)),
    );
  }

  #progress(progress: Progress): void {
    const { progressToken } = this.#meta;
    if (progressToken !== undefined)
      this.note("notifications/progress", { ...progress, progressToken });
  }

  #end(told: Told): void {
    this.#home.ended(this);
    this.#questions?.refuse(new Error("the call has ended"));
    if (this.#exchange === undefined) this.#ended = told;
    else this.#tell(this.#exchange, told);
  }

  /** Answers with the questions that are open, if there are any and the client waits. */
  #askClient(): void {
    const questions = this.#questions;
    const exchange = this.#exchange;
    if (questions === undefined || questions.size === 0 || exchange?.isOpen !== true) return;
    const state = this.#home.parked.keep(this);
    try {
      if (state === undefined) throw new Error("no more calls can wait for this client");
      exchange.answer(inputRequiredLine(exchange.id, questions.requests(), state));
      this.#exchange = undefined;
    } catch (error) {
      if (state !== undefined) this.#home.parked.take(state, this.method, this.params);
      questions.refuse(error as Error);
    }
  }

  /** Has the user open the pages that the server wants him to see first, and asks the server again. */
  #askForUrls({ message, data }: RpcError): void {
    const listed = isObject(data) ? data["elicitations"] : undefined;
    const pages = (Array.isArray(listed) ? listed.filter(isObject) : []).map((page) => ({
      ...page,
      mode: "url",
    }));
    const refused = (code: number, what: string, about?: unknown): void =>
      this.#end({ error: { code, message: what, ...(about !== undefined && { data: about }) } });
    const [first] = pages;
    if (first === undefined) return refused(internalError, message);
    if (!this.canAsk("elicitation/create", first))
      return refused(modernErrors.missingCapability, message, {
        requiredCapabilities: { elicitation: { url: {} } },
      });
    const signal = this.signal.abortSignal();
    const upstream = this.route?.upstream ?? "";
    Promise.all(pages.map((page) => this.ask(upstream, "elicitation/create", page, signal))).then(
      (answers) => {
        if (answers.every(({ action }) => action === "accept")) this.#home.relay.send(this);
        else refused(internalError, `${message} The user did not agree to that.`);
      },
      (error: unknown) => refused(internalError, `${message} (${messageOf(error)})`),
    );
  }

  #tell(exchange: Exchange, told: Told): void {
    const { id } = exchange;
    if ("error" in told) {
      const error = asStatelessError(told.error, this.params);
      const { code } = error;
      return exchange.answer(
        errorLine(id, error),
        code === modernErrors.missingCapability ? code : undefined,
      );
    }
    let line: string;
    try {
      line = completeLine(id, this.method, told.result);
    } catch (cause) {
      const why = `the answer came but cannot be passed on: ${messageOf(cause)}`;
      const error = new CallError("bad_answer", why, { outcome: "unknown", cause });
      return this.#tell(exchange, this.#home.relay.told(error, this));
    }
    if (this.#home.refuses?.(line.length) === true)
      this.#tell(exchange, this.#home.relay.told(notRead(), this));
    else exchange.answer(line);
  }
}
