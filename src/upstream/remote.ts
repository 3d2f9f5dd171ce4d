import type { Call, Result, ToolDefinition, Upstream } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError, messageOf } from "../errors.ts";
import type { Report, UpstreamState } from "../events.ts";
import { after, now, type Timer } from "../time.ts";
import type { Connect, Connection, ServerInfo } from "./connection.ts";
import { Waiters } from "./waiters.ts";

/** Milliseconds before the second try in a row; the first is at once. Doubles up to `longestDelay`. */
const firstDelay = 200;
const longestDelay = 30_000;
/** Milliseconds that a connection must hold for the delays to start anew. */
const healthyAfter = 10_000;
/** A call waits for a next try that is due within this many milliseconds; else it is refused with the time. */
const patience = 1000;

/** Milliseconds until the next try, after `failures` tries in a row that failed or did not hold. */
export const retryDelay = (failures: number): number =>
  failures <= 1 ? 0 : Math.min(firstDelay * 2 ** (failures - 2), longestDelay);

export interface RemoteOptions {
  readonly name: string;
  readonly connect: Connect;
  /** Milliseconds for one try: handshake and lists together. */
  readonly startTimeoutMs: number;
  /** What of its tools is taken. */
  readonly accept: (tools: ToolDefinition[]) => Promise<ToolDefinition[]>;
  readonly report: Report;
  /** Why it is never to be started. */
  readonly disabled?: string;
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
  readonly #options: RemoteOptions;
  readonly #waiters = new Waiters();
  readonly #firstTry: Promise<void>;
  #firstTryEnded = (): void => {};
  #listener = (): void => {};
  #state: UpstreamState = "idle";
  #connection: Connection | undefined;
  #tools: readonly ToolDefinition[] = [];
  #problem: string | undefined;
  #connectMs: number | undefined;
  #failures = 0;
  #losses = 0;
  #nextTry: { readonly at: number; readonly timer: Timer } | undefined;
  #attempt: Promise<void> | undefined;
  #closed = false;
  readonly #abandon = new Cancel();

  constructor(options: RemoteOptions) {
    this.name = options.name;
    this.#options = options;
    this.#firstTry = new Promise((resolve) => (this.#firstTryEnded = resolve));
    if (options.disabled !== undefined) {
      this.#state = "disabled";
      this.#problem = options.disabled;
      this.#firstTryEnded();
    }
  }

  tools(): readonly ToolDefinition[] {
    return this.#tools;
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  /** Begins to connect, and stays connected from then on. */
  start(): void {
    if (this.#state === "idle" && !this.#closed) this.#try();
  }

  /** Resolves when the first try has ended, well or not. */
  get settled(): Promise<void> {
    return this.#firstTry;
  }

  /** Undefined when a call can go now, else a promise that it can; rejects when that is too far off. */
  ready(call: Call): Promise<void> | undefined {
    if (this.#connection !== undefined) return undefined;
    this.start();
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    return this.#waiters.wait(call, () => this.#unavailable("it is still connecting"));
  }

  readonly handle = (call: Call): Promise<Result> =>
    this.#connection === undefined
      ? Promise.reject(this.#unavailable(this.#problem ?? "it is not connected"))
      : this.#connection.handle(call);

  status(): RemoteStatus {
    return {
      state: this.#state,
      tools: this.#tools.length,
      losses: this.#losses,
      ...(this.#problem !== undefined && { problem: this.#problem }),
      ...(this.#connection !== undefined && { info: this.#connection.info }),
      ...(this.#connectMs !== undefined && { connectMs: Math.round(this.#connectMs) }),
      ...(this.#nextTry !== undefined && { nextTryMs: this.#untilNextTry() }),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#nextTry?.timer.clear();
    this.#nextTry = undefined;
    this.#firstTryEnded();
    const closing = this.#unavailable("Holdfast is closing");
    this.#waiters.refuse(closing);
    this.#abandon.cancel(closing);
    await this.#connection?.close();
    await this.#attempt;
  }

  #try(): void {
    this.#nextTry = undefined;
    this.#moveTo("connecting");
    this.#attempt = this.#connect().catch((error: unknown) => this.#failed(messageOf(error)));
  }

  async #connect(): Promise<void> {
    const { startTimeoutMs, accept } = this.#options;
    const begun = now();
    const connection = await this.#options.connect(startTimeoutMs, this.#abandon);
    const lost = connection.ended.then((reason) => Promise.reject(reason));
    lost.catch(() => {});
    try {
      const left = Math.max(startTimeoutMs - (now() - begun), 1);
      const tools = await Promise.race([connection.listTools(left).then(accept), lost]);
      if (this.#closed) return await connection.close();
      this.#hold(connection, tools, now() - begun);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  #hold(connection: Connection, tools: ToolDefinition[], connectMs: number): void {
    this.#connection = connection;
    this.#tools = tools;
    this.#connectMs = connectMs;
    this.#problem = undefined;
    const healthy = after(healthyAfter, () => (this.#failures = 0));
    void connection.ended.then((reason) => {
      healthy.clear();
      this.#connection = undefined;
      this.#losses++;
      this.#failed(reason.message);
    });
    let refreshing: Promise<void> | undefined;
    let again = false;
    connection.onToolsChanged(() => {
      again = true;
      refreshing ??= this.#refresh(connection, () => {
        const more = again;
        again = false;
        return more;
      }).finally(() => (refreshing = undefined));
    });
    this.#moveTo("ready");
    this.#firstTryEnded();
    this.#listener();
    this.#waiters.admit();
  }

  /** Fetches the list anew, once at a time, until nothing more has changed. */
  async #refresh(connection: Connection, changed: () => boolean): Promise<void> {
    try {
      while (changed() && this.#connection === connection) {
        // oxlint-disable-next-line no-await-in-loop -- once at a time is the point
        const tools = await this.#options.accept(
          // oxlint-disable-next-line no-await-in-loop
          await connection.listTools(this.#options.startTimeoutMs),
        );
        if (this.#connection !== connection) return;
        this.#tools = tools;
        this.#listener();
      }
    } catch (error) {
      this.#options.report({
        type: "upstream.problem",
        upstream: this.name,
        problem: `said that its tools changed but did not list them: ${messageOf(error)}`,
      });
    }
  }

  #failed(problem: string): void {
    this.#firstTryEnded();
    if (this.#closed) return;
    this.#problem = problem;
    const delay = retryDelay(++this.#failures);
    this.#nextTry = { at: now() + delay, timer: after(delay, () => this.#try()) };
    this.#moveTo("lost", problem);
    const refusal = this.#refusal();
    if (refusal !== undefined) this.#waiters.refuse(refusal);
  }

  /** Why no call can wait now; undefined where it can. */
  #refusal(): CallError | undefined {
    if (this.#closed) return this.#unavailable("Holdfast is closing");
    const far = this.#nextTry !== undefined && this.#untilNextTry() > patience;
    return far || this.#state === "disabled" ? this.#unavailable(this.#problem ?? "") : undefined;
  }

  #unavailable(why: string): CallError {
    return new CallError("unavailable", `${this.name} is not available: ${why}`, {
      outcome: "failed",
      upstream: this.name,
      ...(this.#nextTry !== undefined && { retryAfterMs: this.#untilNextTry() }),
    });
  }

  #untilNextTry(): number {
    return Math.max(0, Math.round((this.#nextTry?.at ?? 0) - now()));
  }

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
