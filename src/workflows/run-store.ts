/*
 * Where runs are kept so that they survive the process: the port. What stands behind it is in stores/runs/.
 */
import type { Caller, JsonObject } from "../call.ts";

/** What a run is at, or has come to. `failed` is a chain's end; `stuck` waits for a person or for what is missing. */
export type RunState =
  | "running"
  | "compensating"
  | "completed"
  | "failed"
  | "compensated"
  | "stuck";

export type RunKind = "chain" | "saga";

/** A run as it begins. All of it is JSON, and stays as it is. */
export interface NewRun {
  /** Name of the definition; `inline` where it came with the call. */
  readonly name: string;
  readonly kind: RunKind;
  /** Kept with the run, so that an edit of config changes nothing of it. */
  readonly definition: JsonObject;
  /** Hash of the definition. */
  readonly version: string;
  readonly input: JsonObject;
  /** The event that started it; null where none did. */
  readonly event: unknown;
  readonly caller: Caller;
  /** W3C trace id. */
  readonly trace: string;
  /** What each tool of the definition was at the start, by its exposed name. */
  readonly tools: Readonly<Record<string, string>>;
  /** Of one principal, definition and key there is one run: who asks for another gets that one. */
  readonly key?: string;
}

/** A run as it stands. Times are milliseconds since 1970. */
export interface StoredRun extends NewRun {
  readonly id: string;
  readonly state: RunState;
  readonly startedAt: number;
  readonly updatedAt: number;
  readonly endedAt?: number;
  /** What `finish` or `park` was given. */
  readonly outcome?: JsonObject;
}

/** Something about to be done, and what it came to. */
export interface JournalEntry {
  readonly id: string;
  /** The step's path in the run, such as `ship`, `items[2].reserve` or `undo:charge`. Names can come again. */
  readonly name: string;
  /** What was about to be done. */
  readonly intent: JsonObject;
  /** Of the process that wrote the intent; see `RunStore.token`. */
  readonly token: string;
  readonly at: number;
  /** What it came to; not there where nobody has written it. */
  readonly result?: JsonObject;
  readonly endedAt?: number;
}

/** What a call came to, for the entry that says that it was about to be made. */
export interface Concluded {
  readonly entry: string;
  readonly result: JsonObject;
}

/** Which runs to list; the newest first. */
export interface RunFilter {
  readonly name?: string | undefined;
  readonly state?: RunState | undefined;
  readonly principal?: string | undefined;
  /** Default 50. */
  readonly limit?: number | undefined;
}

/** A write came too late: the run's lease has passed to another process, or the run has ended. Nothing was written. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost";
}

/** The store cannot be used: full, locked, broken, away. Says why and where. */
export class StoreFailed extends Error {
  override readonly name = "StoreFailed";
  /** Whether it may have been written all the same; else nothing was. */
  readonly isInDoubt: boolean;

  constructor(message: string, { isInDoubt = false, ...options }: StoreFailure = {}) {
    super(message, options);
    this.isInDoubt = isInDoubt;
  }
}

interface StoreFailure extends ErrorOptions {
  readonly isInDoubt?: boolean;
}

/**
 * Keeps runs and their journals. What is given as `concluded` is written with the rest, all of it or nothing,
 * since a disk takes as long for one write as for three. Each write is on disk when its promise resolves. A run that is begun or
 * claimed belongs to this process (its lease is kept alive) until it is finished, parked or released.
 * Every method rejects with StoreFailed where the store cannot be used; writes to a run that is not ours
 * reject with LeaseLost.
 */
export interface RunStore {
  /** Of this process, and of none before it. */
  readonly token: string;

  /** Begins a run of ours, or gives the one that has its key already (`isNew` false; it may be anybody's). */
  begin(run: NewRun): Promise<{ readonly run: StoredRun; readonly isNew: boolean }>;

  /** Takes a run that nobody drives and that is due, the longest waiting first; undefined where there is none. */
  claim(): Promise<StoredRun | undefined>;

  /** All that was written of a run, oldest first. */
  journal(id: string): Promise<readonly JournalEntry[]>;

  /** Writes what is about to be done. Resolves with the entry's id. */
  intend(
    id: string,
    name: string,
    intent: JsonObject,
    concluded?: readonly Concluded[],
  ): Promise<string>;

  /** Writes what it came to. */
  conclude(id: string, entry: string, result: JsonObject): Promise<void>;

  /** Says that the run is compensating now, or running again. */
  mark(id: string, state: "running" | "compensating"): Promise<void>;

  /**
   * Lets go of a run that cannot go on: it is stuck. It can be claimed again when a command comes for it, and
   * after `retryMs` milliseconds where they are given.
   */
  park(
    id: string,
    outcome: JsonObject,
    retryMs?: number,
    concluded?: readonly Concluded[],
  ): Promise<void>;

  /** Lets go of a run that goes on elsewhere: at once, or after `afterMs` milliseconds. Its state stays. */
  release(id: string, afterMs?: number): Promise<void>;

  /** Ends a run. */
  finish(
    id: string,
    state: "completed" | "failed" | "compensated",
    outcome: JsonObject,
    concluded?: readonly Concluded[],
  ): Promise<void>;

  /**
   * Leaves a command for whoever drives the run, now or later; a parked run becomes due at once. Resolves with
   * false where the run has ended or there is none, or an earlier command was not taken yet.
   */
  command(id: string, command: JsonObject): Promise<boolean>;

  /** Takes the command that was left for a run of ours; undefined where there is none. Each is given once. */
  takeCommand(id: string): Promise<JsonObject | undefined>;

  get(id: string): Promise<StoredRun | undefined>;

  list(filter: RunFilter): Promise<readonly StoredRun[]>;

  /**
   * Removes ended runs: those that ended more than `keepMs` milliseconds ago, and the oldest beyond `maxRuns` and
   * beyond `maxBytes` of all that was written of them. Resolves with how many.
   */
  prune(keepMs: number, maxRuns: number, maxBytes?: number): Promise<number>;

  /** Frees the leases of processes of this machine that are known to be dead, so that their runs can be claimed. */
  freeDead(): Promise<number>;

  /** Releases all runs of ours, and closes. */
  close(): Promise<void>;
}
