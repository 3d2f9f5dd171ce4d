import type {
  Call,
  Caller,
  Freshness,
  JsonObject,
  Lists,
  Result,
  Upstream,
  Watcher,
} from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError, messageOf } from "../errors.ts";
import type { Report, UpstreamState } from "../events.ts";
import { clientKey } from "../peer.ts";
import { after, every, now, type Timer } from "../time.ts";
import { isObject } from "../wire.ts";
import type { Connect, Connection, ServerInfo } from "./connection.ts";
import { changedLists, fetchAll, noLists, Refresh, type Accept } from "./fetch-lists.ts";
import type { Manifest } from "./manifest.ts";
import { Memory } from "./memory.ts";
import { Waiters } from "./waiters.ts";

/** Milliseconds before the second try in a row; the first is at once. Doubles up to `longestDelay`. */
const firstDelay = 200;
const longestDelay = 30_000;
/** Milliseconds that a connection must hold for the delays to start anew. */
const healthyAfter = 10_000;
/** So many tries in a row that failed or did not hold are told as a crash loop. */
const crashLoop = 5;
/** A call waits for a next try that is due within this many milliseconds; else it is refused with the time. */
const patience = 1000;
/** Milliseconds between two pings of a connection with no call under way, and for the answer. */
const pingInterval = 30_000;
const pingTimeout = 10_000;
/** So many looks in a row, `idleStopMs` together, must find a connection unused for it to be stopped. */
const idleLooks = 4;

/** How an extension is named among capabilities. */
const extension = "extensions/";
/** Milliseconds until the next try, after `failures` tries in a row that failed or did not hold. */
export const retryDelay = (failures: number): number =>
  failures <= 1 ? 0 : Math.min(firstDelay * 2 ** (failures - 2), longestDelay);

export interface RemoteOptions {
  readonly name: string;
  readonly connect: Connect;
  /** Milliseconds for one try: handshake and lists together. */
  readonly startTimeoutMs: number;
  /** Milliseconds without a call after which it is stopped until the next; 0: never. */
  readonly idleStopMs: number;
  /** What of its lists is taken. */
  readonly accept: Accept;
  readonly report: Report;
  /** What is known of it from an earlier run. */
  readonly manifest?: Manifest | undefined;
  /** Told what is known of it, whenever that changes. */
  readonly remember: (manifest: Manifest) => void;
  /** Why it is never to be started. */
  readonly disabled?: string | undefined;
  /** In whose place it comes: it serves what that one knew until it knows better, and who waits for it. */
  readonly predecessor?: RemoteUpstream | undefined;
}

/** What people want to know of an upstream. Times are milliseconds. */
export interface RemoteStatus {
  readonly state: UpstreamState;
  /** Why it is not ready. */
  readonly problem?: string;
  readonly info?: ServerInfo;
  readonly tools: number;
  /** From the start of the last try to ready. */
  readonly connectMs?: number;
  /** How often it was lost after it had been ready. */
  readonly losses: number;
  readonly nextTryMs?: number;
}

/** A server somewhere else, which comes, goes and comes back. */
export class RemoteUpstream implements Upstream {
  readonly name: string;
  /** Resolves when the first try has ended, well or not. */
  readonly settled: Promise<void>;
  readonly #options: RemoteOptions;
  #waiters = new Waiters();
  #memory = new Memory();
  readonly #abandon = new Cancel();
  #settle = (): void => {};
  #watcher: Watcher | undefined;
  #state: UpstreamState = "idle";
  #connection: Connection | undefined;
  /** Of the connection. */
  #timers: readonly Timer[] = [];
  /** Connections that are left and take their time to end. */
  readonly #closing = new Set<Promise<void>>();
  #info: ServerInfo | undefined;
  #lists: Lists = noLists;
  #problem: string | undefined;
  #connectMs: number | undefined;
  #failures = 0;
  #losses = 0;
  /** Whether a call was under way since the last look for idleness. */
  #used = false;
  #nextTry: { readonly at: number; readonly timer: Timer } | undefined;
  #attempt: Promise<void> | undefined;
  #closed = false;
  #held = false;
  #successor: RemoteUpstream | undefined;

  constructor(options: RemoteOptions) {
    this.name = options.name;
    this.#options = options;
    this.settled = new Promise((resolve) => (this.#settle = resolve));
    if (options.predecessor !== undefined) this.#follow(options.predecessor);
    if (options.manifest !== undefined) {
      this.#lists = options.manifest.lists;
      this.#info = options.manifest.info;
    }
    if (options.disabled !== undefined) {
      this.#state = "disabled";
      this.#problem = options.disabled;
      this.#settle();
      this.#waiters.refuse(this.#unavailable(options.disabled));
    }
  }

  lists(): Lists {
    return this.#state === "disabled" ? noLists : this.#lists;
  }

  instructions(): string | undefined {
    return this.#info?.instructions;
  }

  can(capability: string): boolean {
    const capabilities = this.#state === "disabled" ? undefined : this.#info?.capabilities;
    if (!capability.startsWith(extension)) return capabilities?.[capability] !== undefined;
    const extensions = capabilities?.["extensions"];
    return isObject(extensions) && extensions[capability.slice(extension.length)] !== undefined;
  }

  freshness(list: keyof Lists): Freshness | undefined {
    return this.#connection?.freshness?.(list);
  }

  /** Resolves when its lists are known: at once from a manifest, else when the first try has ended. */
  get known(): Promise<void> {
    return this.#info === undefined ? this.settled : Promise.resolve();
  }

  watch(watcher: Watcher): void {
    this.#watcher = watcher;
  }

  /** Begins to connect, and stays connected from then on. */
  start(): void {
    if (this.#state === "idle" && !this.#closed) this.#try();
  }

  /** Undefined when a call can go now, else a promise that it can; rejects when that is too far off. */
  ready(call: Call): Promise<void> | undefined {
    if (this.#connection !== undefined) return undefined;
    if (this.#successor !== undefined) return this.#successor.ready(call);
    this.start();
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    return this.#waiters.wait(call, () => this.#unavailable("it is still connecting"));
  }

  readonly handle = (call: Call): Promise<Result> => {
    const connection = this.#connection;
    if (connection === undefined)
      return (
        this.#successor?.handle(call) ??
        Promise.reject(this.#unavailable(this.#problem ?? "it is not connected"))
      );
    this.#used = true;
    const answer = connection.handle(call);
    return Memory.wants(call) ? this.#memory.after(call, answer) : answer;
  };

  notify(method: string, params: JsonObject): void {
    this.#connection?.notify(method, params);
  }

  hold(held: boolean): void {
    this.#held = held;
    this.#connection?.hold(held);
  }

  status(): RemoteStatus {
    return {
      state: this.#state,
      tools: this.lists().tools.length,
      losses: this.#losses,
      ...(this.#problem !== undefined && { problem: this.#problem }),
      ...(this.#info !== undefined && { info: this.#info }),
      ...(this.#connectMs !== undefined && { connectMs: Math.round(this.#connectMs) }),
      ...(this.#nextTry !== undefined && { nextTryMs: this.#untilNextTry() }),
    };
  }

  /** How many calls wait for their answer. */
  inFlight(): number {
    return this.#connection?.inFlight() ?? 0;
  }

  /** Who waits for an answer. */
  callers(): Iterable<Caller> {
    return this.#connection?.callers() ?? [];
  }

  /** Whether a call that comes now can be expected to be sent soon. */
  get isAvailable(): boolean {
    return this.#state === "ready" || this.#state === "idle";
  }

  /** Whether its server answers a ping within `ms`. */
  ping(ms: number): Promise<boolean> {
    const answer = this.#connection?.ping(ms);
    return answer === undefined
      ? Promise.resolve(false)
      : answer.then(
          () => true,
          () => false,
        );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#nextTry?.timer.clear();
    this.#nextTry = undefined;
    this.#settle();
    const closing = this.#unavailable("it is being closed");
    if (this.#successor === undefined) this.#waiters.refuse(closing);
    this.#abandon.cancel(closing);
    await this.#connection?.close();
    await this.#attempt;
    await Promise.all(this.#closing);
  }

  #follow(predecessor: RemoteUpstream): void {
    predecessor.#successor = this;
    this.#waiters = predecessor.#waiters;
    this.#memory = predecessor.#memory;
    this.#lists = predecessor.#lists;
    this.#info = predecessor.#info;
    this.#held = predecessor.#held;
  }

  #try(): void {
    this.#nextTry = undefined;
    this.#moveTo("connecting");
    this.#attempt = this.#connect().catch((error: unknown) => this.#failed(messageOf(error)));
  }

  async #connect(): Promise<void> {
    const { startTimeoutMs, accept } = this.#options;
    const begun = now();
    const connection = await this.#options.connect(startTimeoutMs, this.#abandon, this.#info);
    const lost = connection.ended.then((reason) => Promise.reject(reason));
    lost.catch(() => {});
    try {
      const left = Math.max(startTimeoutMs - (now() - begun), 1);
      const fetched = fetchAll(connection, accept, left, this.#tell);
      const lists = await Promise.race([fetched, lost]);
      await this.#memory.restore(connection, left, this.#tell);
      if (this.#closed) return await connection.close();
      this.#hold(connection, lists, now() - begun);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  #hold(connection: Connection, lists: Lists, connectMs: number): void {
    this.#connection = connection;
    if (this.#held) connection.hold(true);
    this.#info = connection.info;
    this.#connectMs = connectMs;
    this.#problem = undefined;
    this.#timers = [
      after(healthyAfter, () => (this.#failures = 0)),
      every(pingInterval, () => void this.#ping(connection)),
      ...this.#stopWhenIdle(connection),
    ];
    void connection.ended.then((reason) => {
      if (this.#connection !== connection) return; // it was stopped, and another may be in its place
      this.#leave();
      this.#losses++;
      this.#failed(reason.message);
    });
    const refresh = new Refresh(connection, this.#options.accept, this.#options.startTimeoutMs, {
      lists: (changed) => {
        if (this.#connection === connection) this.#know({ ...this.#lists, ...changed });
      },
      problem: this.#tell,
    });
    connection.onNotification((method, params, about) => {
      const names = changedLists[method];
      if (names === undefined)
        this.#watcher?.notified(
          method,
          params,
          about && ((caller) => clientKey(caller) === clientKey(about)),
        );
      else refresh.changed(names);
    });
    this.#moveTo("ready");
    this.#settle();
    this.#know(lists);
    this.#waiters.admit();
  }

  #know(lists: Lists): void {
    this.#lists = lists;
    if (this.#info !== undefined) this.#options.remember({ info: this.#info, lists });
    this.#watcher?.changed();
  }

  /**
   * A server that answers no ping is taken for dead; one with calls under way may just be busy, and of one that is
   * held nothing is read.
   */
  async #ping(connection: Connection): Promise<void> {
    const mayBeSilent = (): boolean => this.#held || connection.inFlight() > 0;
    if (mayBeSilent()) return;
    try {
      await connection.ping(pingTimeout);
    } catch (error) {
      if (this.#connection !== connection || mayBeSilent()) return;
      this.#tell(`does not answer pings, so it is connected anew: ${messageOf(error)}`);
      await connection.close();
    }
  }

  /** Looks now and then; so it costs calls nothing, and the stop comes up to half of `idleStopMs` late. */
  #stopWhenIdle(connection: Connection): Timer[] {
    const { idleStopMs } = this.#options;
    if (idleStopMs === 0) return [];
    let quiet = 0;
    const look = (): void => {
      const busy = connection.inFlight() > 0 || this.#memory.holds;
      quiet = busy || this.#used ? 0 : quiet + 1;
      this.#used = busy;
      if (quiet < idleLooks) return;
      this.#leave();
      this.#moveTo("idle", "no call for its idleStopMs");
      const closing = connection.close().finally(() => this.#closing.delete(closing));
      this.#closing.add(closing);
    };
    return [every(Math.max(idleStopMs / idleLooks, 1), look)];
  }

  /** The connection is no longer used. */
  #leave(): void {
    for (const timer of this.#timers) timer.clear();
    this.#connection = undefined;
  }

  #failed(problem: string): void {
    this.#settle();
    if (this.#closed || this.#successor !== undefined) return;
    this.#problem = problem;
    const delay = retryDelay(++this.#failures);
    this.#nextTry = { at: now() + delay, timer: after(delay, () => this.#try()) };
    this.#moveTo("lost", problem);
    if (this.#failures === crashLoop)
      this.#tell(
        `failed ${crashLoop} times in a row; it is tried again ever more slowly, at least every ${longestDelay / 1000} s`,
      );
    const refusal = this.#refusal();
    if (refusal !== undefined) this.#waiters.refuse(refusal);
  }

  /** Why no call can wait now; undefined where it can. */
  #refusal(): CallError | undefined {
    if (this.#closed) return this.#unavailable("it is being closed");
    const far = this.#nextTry !== undefined && this.#untilNextTry() > patience;
    return far || this.#state === "disabled" ? this.#unavailable(this.#problem ?? "") : undefined;
  }

  #unavailable(why: string): CallError {
    return new CallError("unavailable", `${this.name} is not available: ${why}`, {
      outcome: "failed",
      local: true,
      upstream: this.name,
      ...(this.#nextTry !== undefined && { retryAfterMs: this.#untilNextTry() }),
    });
  }

  #untilNextTry(): number {
    return Math.max(0, Math.round((this.#nextTry?.at ?? 0) - now()));
  }

  readonly #tell = (problem: string): void =>
    this.#options.report({ type: "upstream.problem", upstream: this.name, problem });

  #moveTo(to: UpstreamState, reason?: string): void {
    const from = this.#state;
    this.#state = to;
    this.#options.report({
      type: "upstream.state",
      upstream: this.name,
      from,
      to,
      ...(reason !== undefined && { reason }),
    });
  }
}
