import { backoff } from "../backoff.ts";
import type { JsonObject } from "../call.ts";
import { CallError } from "../errors.ts";
import { after, now, settlesWithin, type Timer } from "../time.ts";
import { isObject } from "../wire.ts";
import { metaKeys } from "../era.ts";
import type { Send } from "./link.ts";

const acknowledged = "notifications/subscriptions/acknowledged";
const updated = "notifications/resources/updated";

/** The members of a filter that ask for changes of lists, and what tells of each. */
const listChanges: Readonly<Record<string, string>> = {
  toolsListChanged: "notifications/tools/list_changed",
  promptsListChanged: "notifications/prompts/list_changed",
  resourcesListChanged: "notifications/resources/list_changed",
};

/** Between two openings of a stream that does not stay open. */
const pauses = { initialDelayMs: 250, factor: 2, maxDelayMs: 30_000, jitter: "quarter" } as const;
/** Milliseconds that a stream stays open for the pauses to start anew. */
const longLived = 5000;
/** So many openings in a row that came to nothing, or to little, are told. */
const worthTelling = 4;
/** Milliseconds that a server has to agree to tell of a resource. */
const patience = 10_000;

export interface ListeningOptions {
  readonly upstream: string;
  readonly send: Send;
  /** The `_meta` of each request. */
  readonly meta: JsonObject;
  readonly tell: (method: string, params: JsonObject) => void;
  readonly problem: (problem: string) => void;
}

/** The streams on which a server of the newer era tells of changes. */
export class Listening {
  readonly #options: ListeningOptions;
  readonly #all = new Set<Stream>();
  /** By the id of the request that keeps each open. */
  readonly #streams = new Map<unknown, Stream>();
  /** Resources that the one stream for them tells of. */
  #watched: readonly string[] = [];
  #watching: Stream | undefined;
  /** Settles when the change of these that is under way has ended. */
  #changing: Promise<void> | undefined;
  #count = 0;
  #closed = false;

  constructor(options: ListeningOptions) {
    this.#options = options;
  }

  /** Listens to changes of the lists that a server has announced to tell of; resolves when it has agreed, or when there is none. */
  async toLists({ tools, prompts, resources }: JsonObject): Promise<void> {
    const filter = {
      ...(tells(tools) && { toolsListChanged: true }),
      ...(tells(prompts) && { promptsListChanged: true }),
      ...(tells(resources) && { resourcesListChanged: true }),
    };
    if (Object.keys(filter).length > 0) await this.#open(filter).agreed;
  }

  /** Listens to changes of a resource, too. Rejects where the server does not tell of them, or does not say so within 10 s. */
  async watch(uri: string): Promise<void> {
    const isTold = await this.#inTurn(
      async () => this.#watched.includes(uri) || this.#watchAll([...this.#watched, uri], uri),
    );
    if (isTold) return;
    const { upstream } = this.#options;
    const message = `${upstream} does not tell of changes of ${uri}`;
    throw new CallError("upstream_error", message, {
      outcome: "answered",
      upstream,
      rpc: { code: -32602, message, data: { uri } },
    });
  }

  async unwatch(uri: string): Promise<void> {
    await this.#inTurn(async () => {
      const rest = this.#watched.filter((watched) => watched !== uri);
      if (rest.length < this.#watched.length) await this.#watchAll(rest);
    });
  }

  /** Takes a notification that belongs to a stream; tells whether it does. */
  take(method: string, params: JsonObject): boolean {
    if (method === "notifications/cancelled") {
      this.ended(params["requestId"], undefined);
      return true; // a server of this era takes nothing else back
    }
    const { _meta: meta, ...rest } = params;
    if (!isObject(meta)) return false;
    const { [metaKeys.subscriptionId]: id, ...kept } = meta;
    if (id === undefined) return false;
    const stream = this.#streams.get(id);
    // One that was closed in favour of another may still be told of.
    if (stream === undefined) return true;
    if (method === acknowledged) stream.agree(rest["notifications"]);
    else this.#options.tell(method, Object.keys(kept).length > 0 ? { ...rest, _meta: kept } : rest);
    return true;
  }

  /** A request has ended; tells whether it was one that kept a stream open. */
  ended(id: unknown, error: CallError | undefined): boolean {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    stream?.broke(error);
    return stream !== undefined;
  }

  close(): void {
    this.#closed = true;
    for (const stream of this.#all) stream.close();
  }

  /** One change after the other, since each goes on from what the last has come to. */
  async #inTurn<Value>(change: () => Promise<Value>): Promise<Value> {
    // oxlint-disable-next-line no-await-in-loop -- another may have been faster
    while (this.#changing !== undefined) await this.#changing;
    const changed = change();
    const done = (): void => (this.#changing = undefined);
    this.#changing = changed.then(done, done);
    return changed;
  }

  /**
   * One stream for all of these, in place of the last. Where it does not open, or does not tell of `needed`, the
   * last goes on. Answers which it is.
   */
  async #watchAll(uris: readonly string[], needed?: string): Promise<boolean> {
    if (this.#closed) return false;
    const before = this.#watching;
    const next = uris.length === 0 ? undefined : this.#open({ resourceSubscriptions: uris });
    if (next !== undefined) {
      await settlesWithin(next.agreed, patience);
      const told = next.filter?.["resourceSubscriptions"];
      if (!Array.isArray(told) || (needed !== undefined && !told.includes(needed))) {
        next.close();
        return false;
      }
    }
    before?.close();
    this.#watching = next;
    this.#watched = uris;
    return true;
  }

  #open(filter: JsonObject): Stream {
    const { upstream, send, meta, tell, problem } = this.#options;
    return new Stream({
      filter,
      upstream,
      open: (stream) => {
        this.#all.add(stream);
        const id = `listen-${++this.#count}`;
        this.#streams.set(id, stream);
        const params = { notifications: filter, _meta: meta };
        const notSent = send({ jsonrpc: "2.0", id, method: "subscriptions/listen", params });
        if (notSent !== undefined) this.ended(id, notSent);
        return id;
      },
      close: (stream, id) => {
        this.#all.delete(stream);
        if (!this.#streams.delete(id)) return;
        const params = { requestId: id, reason: "no longer needed" };
        send({ jsonrpc: "2.0", method: "notifications/cancelled", params });
      },
      tell,
      problem,
    });
  }
}

const tells = (of: unknown): boolean => isObject(of) && of["listChanged"] === true;

interface StreamOptions extends Pick<ListeningOptions, "upstream" | "tell" | "problem"> {
  readonly filter: JsonObject;
  /** Sends the request that opens it, and answers its id. */
  readonly open: (stream: Stream) => string;
  readonly close: (stream: Stream, id: string) => void;
}

/** One stream, which is opened again when it ends or breaks, until it is closed. */
class Stream {
  /** Resolves when it is first open, and where it never is. */
  readonly agreed: Promise<void>;
  /** What the server tells of; undefined where it was never open. */
  filter: JsonObject | undefined;
  readonly #options: StreamOptions;
  #agree = (): void => {};
  #id: string;
  #openSince = Infinity;
  #failures = 0;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.agreed = new Promise((resolve) => (this.#agree = resolve));
    this.#id = options.open(this);
  }

  /** The server has opened it. What changed while it was not open went unnoticed, so that all is told to have changed. */
  agree(filter: unknown): void {
    this.#openSince = now();
    if (this.filter !== undefined) this.#tellAll();
    this.filter = isObject(filter) ? filter : {};
    this.#agree();
  }

  broke(error: CallError | undefined): void {
    if (this.#closed) return;
    const { upstream, problem } = this.#options;
    const why = error?.message ?? `${upstream} has ended it`;
    const isFinal = error !== undefined && this.filter === undefined && isRefusal(error);
    if (now() - this.#openSince >= longLived) this.#failures = 0;
    this.#openSince = Infinity;
    if (++this.#failures === worthTelling || isFinal)
      problem(`does not tell of changes for now, so they may go unnoticed: ${why}`);
    if (isFinal) return this.close();
    this.#timer = after(backoff(this.#failures, pauses), () => {
      this.#id = this.#options.open(this);
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.clear();
    this.#options.close(this, this.#id);
    this.#agree();
  }

  #tellAll(): void {
    const { filter, tell } = this.#options;
    const { resourceSubscriptions, ...lists } = filter;
    for (const name of Object.keys(lists)) tell(listChanges[name] ?? name, {});
    for (const uri of Array.isArray(resourceSubscriptions) ? resourceSubscriptions : [])
      tell(updated, { uri });
  }
}

/** Whether the server does not want to, and will not. */
const isRefusal = ({ rpc, status = 0 }: CallError): boolean =>
  rpc !== undefined || (status >= 400 && status < 500 && status !== 429);
