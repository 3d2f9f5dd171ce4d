import type { Call, Caller, JsonObject, Progress, Result } from "../call.ts";
import { CallError } from "../errors.ts";
import { KeyTable } from "../key-table.ts";
import { isObject, keepText, toJson } from "../wire.ts";

/** Ids of calls start here, far from those that the SDK gives on the same connection. */
const firstOfCalls = 1_000_000_000;

/** Calls that were given up and are remembered; the oldest is forgotten first. */
const mostGivenUp = 1000;

/** Sends one message, or answers why it did not; it must not throw. */
export type Send = (message: JsonObject) => CallError | undefined;

/** A call that waits for its answer; a cancel of the call is a cancel of this. */
class Pending {
  readonly id: number;
  readonly call: Call;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: CallError) => void;
  readonly #link: { gaveUp(pending: Pending, reason: CallError): void };

  constructor(
    id: number,
    call: Call,
    resolve: Pending["resolve"],
    reject: Pending["reject"],
    link: { gaveUp(pending: Pending, reason: CallError): void },
  ) {
    this.id = id;
    this.call = call;
    this.resolve = resolve;
    this.reject = reject;
    this.#link = link;
  }

  cancel(reason: CallError): void {
    this.#link.gaveUp(this, reason);
    this.reject(mayHaveHappened(reason));
  }
}

/** Calls under way on one connection: their ids, progress tokens, cancels and answers. */
export class Link {
  readonly #upstream: string;
  readonly #send: Send;
  readonly #pending = new KeyTable<number, Pending>();
  /** Whose calls were given up; the upstream may still be at them until it answers. */
  readonly #givenUp = new Map<number, Caller>();
  /** Whose call a question of the upstream belongs to, by its id. */
  readonly #asked = new Map<unknown, Caller>();
  /** Whose call a notification is about, where that shows. */
  readonly #about = new WeakMap<object, Caller>();
  readonly #first: number;
  #next: number;
  #ended: CallError | undefined;

  /** Its ids start with `first`; all from there on are taken for its own. */
  constructor(upstream: string, send: Send, first = firstOfCalls) {
    this.#upstream = upstream;
    this.#send = send;
    this.#first = this.#next = first;
  }

  /** Sends the call and waits for its answer, its cancel, or the end of the connection. */
  handle(call: Call): Promise<Result> {
    const refused = call.signal.reason ?? this.#ended;
    if (refused !== undefined) return Promise.reject(refused);
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      const pending = new Pending(id, call, resolve, reject, this);
      this.#pending.add(id, pending);
      const params = paramsOf(call, id);
      const notSent = this.#send({ jsonrpc: "2.0", id, method: call.method, params });
      if (notSent === undefined) return call.signal.subscribe(pending);
      this.#pending.remove(id, pending);
      reject(notSent);
    });
  }

  /** Takes a message of the upstream if it belongs to a call of ours; tells whether it did. */
  receive(message: JsonObject, line: string): boolean {
    if (message["method"] === undefined) return this.#answer(message, line);
    return message["method"] === "notifications/progress" && this.#progress(message["params"]);
  }

  /** Tells all calls under way that the upstream is still at work. */
  alive(): void {
    for (const { call } of this.#pending.values()) call.onAlive?.();
  }

  /** Ends one call under way, by its id, with `error` as it is; tells whether the id is one of ours. */
  fail(id: number, error: CallError): boolean {
    this.#take(id)?.reject(error);
    return id >= this.#first;
  }

  /** Refuses new calls; those under way go on. */
  refuse(reason: CallError): void {
    this.#ended ??= reason;
  }

  /** Ends all calls under way, and refuses new ones. */
  end(reason: CallError): void {
    this.refuse(reason);
    for (const [id, { reject }] of this.#pending.entries()) {
      this.#take(id);
      reject(mayHaveHappened(reason));
    }
  }

  /** Who waits for an answer. */
  *callers(): Iterable<Caller> {
    for (const { call } of this.#pending.values()) yield call.caller;
  }

  /** Whose call the upstream may be at: also of those that were given up, since not all hear of that. */
  *suspects(): Iterable<Caller> {
    yield* this.callers();
    yield* this.#givenUp.values();
  }

  /** The upstream asks something, by that id, for the call of ours with the id `own`. */
  asks(id: unknown, own: number): void {
    const caller = this.#pending.get(own)?.call.caller;
    if (caller !== undefined) this.#asked.set(id, caller);
  }

  /** Whose call a question belongs to, told once; undefined where that is not known. */
  askedOf(id: unknown): Caller | undefined {
    const caller = this.#asked.get(id);
    this.#asked.delete(id);
    return caller;
  }

  /** A notification came with the answer to the call of ours with the id `own`. */
  isAbout(notification: object, own: number): void {
    const caller = this.#pending.get(own)?.call.caller;
    if (caller !== undefined) this.#about.set(notification, caller);
  }

  /** Whose call a notification is about; undefined where that is not known. */
  aboutOf(notification: object): Caller | undefined {
    return this.#about.get(notification);
  }

  /** How many calls wait for their answer. */
  get inFlight(): number {
    return this.#pending.size;
  }

  #answer(message: JsonObject, line: string): boolean {
    const id = message["id"];
    if (typeof id !== "number" || id < this.#first) return false;
    const pending = this.#take(id);
    if (pending === undefined) {
      this.#givenUp.delete(id); // cancelled or timed out: too late
      return true;
    }
    const { result, error } = message;
    if (isObject(result)) {
      keepText(message as { result: Result }, line);
      pending.resolve(result);
    } else if (isObject(error)) pending.reject(this.#rpcError(error));
    else pending.reject(this.#badAnswer(message));
    return true;
  }

  #progress(params: unknown): boolean {
    if (!isObject(params)) return false;
    const { progressToken, ...progress } = params;
    if (typeof progressToken !== "number" || progressToken < this.#first) return false;
    const call = this.#pending.get(progressToken)?.call;
    call?.onAlive?.();
    call?.onProgress?.(progress as Progress);
    return true;
  }

  /** A call was cancelled, and its upstream is told. */
  gaveUp(pending: Pending, reason: CallError): void {
    const { id, call } = pending;
    this.#pending.remove(id, pending);
    const params = { requestId: id, reason: reason.message };
    this.#send({ jsonrpc: "2.0", method: "notifications/cancelled", params });
    this.#givenUp.set(id, call.caller);
    const [oldest] = this.#givenUp.keys();
    if (this.#givenUp.size > mostGivenUp && oldest !== undefined) this.#givenUp.delete(oldest);
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.remove(id, pending);
    pending.call.signal.unsubscribe(pending);
    return pending;
  }

  #rpcError(error: JsonObject): CallError {
    const { code, message, data } = error;
    if (!Number.isInteger(code) || typeof message !== "string") return this.#badAnswer({ error });
    return new CallError("upstream_error", message, {
      outcome: "answered",
      upstream: this.#upstream,
      rpc: { code: code as number, message, ...("data" in error && { data }) },
    });
  }

  #badAnswer(message: JsonObject): CallError {
    const got =
      "result" in message
        ? `result ${describe(message["result"])}`
        : "error" in message
          ? `error ${describe(message["error"])}`
          : "neither";
    return new CallError(
      "bad_answer",
      `expected an answer with a result object or an error object, got ${got}`,
      { outcome: "unknown", upstream: this.#upstream },
    );
  }
}

/** The parameters on the wire. The id is the progress token too. */
function paramsOf(call: Call, id: number): JsonObject {
  if (call.onProgress !== undefined)
    return { ...call.params, _meta: { ...call.meta, progressToken: id } };
  return call.meta === undefined ? call.params : { ...call.params, _meta: call.meta };
}

/** Why a request was not sent that cannot be written. */
export const unwritable = (upstream: string): CallError =>
  new CallError(
    "too_large",
    `the request to ${upstream} is nested too deep, or too long, to be written as JSON`,
    { outcome: "failed", upstream, local: true },
  );

/** The same error for a call that was sent already. */
const mayHaveHappened = (reason: CallError): CallError =>
  reason.outcome === "unknown"
    ? reason
    : new CallError(reason.code, reason.message, {
        outcome: "unknown",
        ...(reason.upstream !== undefined && { upstream: reason.upstream }),
        ...(reason.retryAfterMs !== undefined && { retryAfterMs: reason.retryAfterMs }),
        ...(reason.status !== undefined && { status: reason.status }),
        cause: reason,
      });

const describe = (value: unknown): string => (toJson(value) ?? typeof value).slice(0, 80);
