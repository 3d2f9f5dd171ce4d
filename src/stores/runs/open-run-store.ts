import type { Worker } from "node:worker_threads";
import type { JsonObject } from "../../call.ts";
import { messageOf } from "../../errors.ts";
import { every, type Timer } from "../../time.ts";
import {
  StoreFailed,
  type Concluded,
  type JournalEntry,
  type NewRun,
  type RunFilter,
  type RunStore,
  type StoredRun,
} from "../../workflows/run-store.ts";
import { errorOf, type Method, type Request, type Response, type ThreadData } from "./messages.ts";
import { newToken } from "./owner.ts";
import { placeOf, type Place } from "./place.ts";

export interface RunStoreOptions {
  /** `sqlite`, `sqlite:FILE` or the URL of a PostgreSQL database. */
  readonly where: string;
  /** The state folder, where `sqlite` has its file. */
  readonly folder: string;
  /** Told when the leases of runs cannot be renewed, once until they can be again. */
  readonly onProblem: (problem: string) => void;
  /** Milliseconds after which others may take over a run whose lease was not renewed. Default 30 s. */
  readonly leaseMs?: number;
  /** PostgreSQL's schema. Default `holdfast`. */
  readonly schema?: string;
}

/** Opens nothing before the first use. Throws StoreFailed where `where` is none of what it may be. */
export function openRunStore(options: RunStoreOptions): RunStore {
  const { where, folder, onProblem, leaseMs = 30_000, schema = "holdfast" } = options;
  return new ThreadRunStore(placeOf(where, folder, schema), leaseMs, onProblem);
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The store as this thread sees it: all is done in a thread of its own. The leases are renewed from here, so
 * that they run out when this thread does not get on.
 */
class ThreadRunStore implements RunStore {
  readonly #place: Place;
  readonly #leaseMs: number;
  readonly #onProblem: (problem: string) => void;
  readonly #pending = new Map<number, Pending>();
  #token = newToken();
  #worker: Worker | undefined;
  #renewing: Timer | undefined;
  #renewed = true;
  #troubled = false;
  #lastId = 0;
  #closed = false;

  constructor(place: Place, leaseMs: number, onProblem: (problem: string) => void) {
    this.#place = place;
    this.#leaseMs = leaseMs;
    this.#onProblem = onProblem;
  }

  get token(): string {
    return this.#token;
  }

  begin(run: NewRun): Promise<{ readonly run: StoredRun; readonly isNew: boolean }> {
    return this.#call("begin", run);
  }

  claim(): Promise<StoredRun | undefined> {
    return this.#call("claim");
  }

  journal(id: string): Promise<readonly JournalEntry[]> {
    return this.#call("journal", id);
  }

  intend(
    id: string,
    name: string,
    intent: JsonObject,
    concluded?: readonly Concluded[],
  ): Promise<string> {
    return this.#call("intend", id, name, intent, concluded);
  }

  conclude(id: string, entry: string, result: JsonObject): Promise<void> {
    return this.#call("conclude", id, entry, result);
  }

  mark(id: string, state: "running" | "compensating"): Promise<void> {
    return this.#call("mark", id, state);
  }

  park(
    id: string,
    outcome: JsonObject,
    retryMs?: number,
    concluded?: readonly Concluded[],
  ): Promise<void> {
    return this.#call("park", id, outcome, retryMs, concluded);
  }

  release(id: string, afterMs?: number): Promise<void> {
    return this.#call("release", id, afterMs);
  }

  finish(
    id: string,
    state: "completed" | "failed" | "compensated",
    outcome: JsonObject,
    concluded?: readonly Concluded[],
  ): Promise<void> {
    return this.#call("finish", id, state, outcome, concluded);
  }

  command(id: string, command: JsonObject): Promise<boolean> {
    return this.#call("command", id, command);
  }

  takeCommand(id: string): Promise<JsonObject | undefined> {
    return this.#call("takeCommand", id);
  }

  get(id: string): Promise<StoredRun | undefined> {
    return this.#call("get", id);
  }

  list(filter: RunFilter): Promise<readonly StoredRun[]> {
    return this.#call("list", filter);
  }

  prune(keepMs: number, maxRuns: number, maxBytes?: number): Promise<number> {
    return this.#call("prune", keepMs, maxRuns, maxBytes);
  }

  freeDead(): Promise<number> {
    return this.#call("freeDead");
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#renewing?.clear();
    const worker = this.#worker;
    if (worker === undefined) return;
    // Where it fails, the thread has ended by itself.
    await this.#ask(worker, "close", []).catch(() => {});
    await worker.terminate();
  }

  async #call<T>(method: Method, ...args: readonly unknown[]): Promise<T> {
    if (this.#closed) throw new StoreFailed("the run store is closed");
    this.#worker ??= this.#start();
    return this.#ask(this.#worker, method, args) as Promise<T>;
  }

  async #ask(worker: Worker, method: Method, args: readonly unknown[]): Promise<unknown> {
    const id = ++this.#lastId;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- no window
    worker.postMessage({ id, method, args } satisfies Request);
    const answer = new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    // The process does not end before it is there.
    worker.ref();
    return answer;
  }

  #start(): Worker {
    const { kind } = this.#place;
    // Loaded now: most gateways never run a saga.
    const threads = process.getBuiltinModule("node:worker_threads");
    const worker = new threads.Worker(new URL("./worker.js", import.meta.url), {
      name: `runs in ${kind}`,
      workerData: {
        place: this.#place,
        token: this.#token,
        leaseMs: this.#leaseMs,
      } satisfies ThreadData,
      execArgv: [],
      // Ours is the protocol's. Nobody reads this one, since that would keep the process alive.
      stdout: true,
    });
    worker.unref();
    worker.on("message", (response: Response) => this.#answered(worker, response));
    worker.on("error", (error) => this.#ended(worker, messageOf(error)));
    worker.on("exit", (code) => this.#ended(worker, `it has exited with ${code}`));
    this.#renewing = every(this.#leaseMs / 3, () => void this.#renew());
    return worker;
  }

  #answered(worker: Worker, response: Response): void {
    const pending = this.#pending.get(response.id);
    this.#pending.delete(response.id);
    if (this.#pending.size === 0) worker.unref();
    if ("error" in response) pending?.reject(errorOf(response.error));
    else pending?.resolve(response.value);
  }

  /** The next use starts another. It has another token, since what this one drove is lost. */
  #ended(worker: Worker, why: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#renewing?.clear();
    this.#renewed = true;
    this.#token = newToken();
    const error = new StoreFailed(`the thread of the run store has ended: ${why}`, {
      isInDoubt: true,
    });
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  async #renew(): Promise<void> {
    if (!this.#renewed) return;
    this.#renewed = false;
    try {
      await this.#call<void>("renew");
      this.#troubled = false;
    } catch (error) {
      if (!this.#troubled)
        this.#onProblem(`the leases of runs cannot be renewed: ${messageOf(error)}`);
      this.#troubled = true;
    }
    this.#renewed = true;
  }
}
