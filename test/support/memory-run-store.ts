import { randomUUID } from "node:crypto";
import type { JsonObject } from "../../src/call.ts";
import {
  LeaseLost,
  StoreFailed,
  type Concluded,
  type JournalEntry,
  type NewRun,
  type RunFilter,
  type RunState,
  type RunStore,
  type StoredRun,
} from "../../src/workflows/run-store.ts";

interface Row {
  run: StoredRun;
  readonly journal: JournalEntry[];
  owner: MemoryRunStore | undefined;
  /** When it can be claimed, in milliseconds since 1970; undefined: when a command comes. */
  due: number | undefined;
  command: JsonObject | undefined;
}

/** What several stores share, as processes share a file. */
export class RunShelf {
  readonly rows = new Map<string, Row>();

  get runs(): StoredRun[] {
    return [...this.rows.values()].map(({ run }) => run);
  }
}

/** When a process is to die: at a write of that number, before it is made or as soon as it is. */
export interface Fuse {
  readonly write: number;
  readonly at: "before" | "after";
}

const ended: readonly RunState[] = ["completed", "failed", "compensated"];
const mostBytes = 16 * 1024 * 1024;
const never = (): Promise<never> => new Promise(() => {});
const copy = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value;

/** A run store in memory. Its leases hold for as long as it lives, unless they are to last for less than nothing. */
export class MemoryRunStore implements RunStore {
  readonly token = randomUUID();
  readonly #shelf: RunShelf;
  readonly #leaseMs: number;
  readonly #fuse: Fuse | undefined;
  readonly #mine = new Set<string>();
  #writes = 0;
  #isClosed = false;
  /** Whether its process has died: then nothing of it answers any more. */
  isDead = false;
  /** What the next writes fail with. */
  readonly failures: Error[] = [];

  constructor(shelf: RunShelf, leaseMs = 30_000, fuse?: Fuse) {
    this.#shelf = shelf;
    this.#leaseMs = leaseMs;
    this.#fuse = fuse;
  }

  /** How often it has written. */
  get writes(): number {
    return this.#writes;
  }

  begin(given: NewRun): Promise<{ readonly run: StoredRun; readonly isNew: boolean }> {
    return this.#write(() => {
      const { key, name, caller } = given;
      const same = this.#shelf.runs.find(
        (run) =>
          key !== undefined &&
          run.key === key &&
          run.name === name &&
          run.caller.principal === caller.principal,
      );
      if (same !== undefined) return { run: copy(same), isNew: false };
      const at = Date.now();
      const run: StoredRun = {
        ...copy(given),
        id: randomUUID(),
        state: "running",
        startedAt: at,
        updatedAt: at,
      };
      this.#shelf.rows.set(run.id, {
        run,
        journal: [],
        owner: this,
        due: undefined,
        command: undefined,
      });
      this.#mine.add(run.id);
      return { run: copy(run), isNew: true };
    });
  }

  claim(): Promise<StoredRun | undefined> {
    return this.#read(() => {
      const [row] = [...this.#shelf.rows.values()]
        .filter((one) => this.#isDue(one) && !this.#mine.has(one.run.id))
        .toSorted((a, b) => (a.due ?? 0) - (b.due ?? 0));
      if (row === undefined) return undefined;
      row.owner = this;
      this.#mine.add(row.run.id);
      return copy(row.run);
    });
  }

  journal(id: string): Promise<readonly JournalEntry[]> {
    return this.#read(() => copy(this.#shelf.rows.get(id)?.journal ?? []));
  }

  intend(
    id: string,
    name: string,
    intent: JsonObject,
    concluded: readonly Concluded[] = [],
  ): Promise<string> {
    return this.#write(() => {
      this.#conclude(id, concluded);
      const { journal } = this.#ours(id);
      const entry = {
        id: `${journal.length}`,
        name,
        intent: copy(intent),
        token: this.token,
        at: Date.now(),
      };
      journal.push(entry);
      return entry.id;
    });
  }

  conclude(id: string, entry: string, result: JsonObject): Promise<void> {
    return this.#write(() => this.#conclude(id, [{ entry, result }]));
  }

  #conclude(id: string, concluded: readonly Concluded[]): void {
    const { journal } = this.#ours(id);
    for (const { entry, result } of concluded) {
      if (JSON.stringify(result).length > mostBytes)
        throw new StoreFailed("the result is larger than 16 MiB");
      const at = journal.findIndex((one) => one.id === entry);
      const found = journal[at];
      if (found === undefined || found.result !== undefined) continue;
      journal[at] = { ...found, result: copy(result), endedAt: Date.now() };
    }
  }

  mark(id: string, state: "running" | "compensating"): Promise<void> {
    return this.#write(() => this.#become(id, { state }));
  }

  park(
    id: string,
    outcome: JsonObject,
    retryMs?: number,
    concluded: readonly Concluded[] = [],
  ): Promise<void> {
    return this.#write(() => {
      this.#conclude(id, concluded);
      this.#become(id, { state: "stuck", outcome: copy(outcome) });
      this.#let(id, retryMs === undefined ? undefined : Date.now() + retryMs);
    });
  }

  release(id: string, afterMs = 0): Promise<void> {
    return this.#write(() => {
      this.#ours(id);
      this.#let(id, Date.now() + afterMs);
    });
  }

  finish(
    id: string,
    state: "completed" | "failed" | "compensated",
    outcome: JsonObject,
    concluded: readonly Concluded[] = [],
  ): Promise<void> {
    return this.#write(() => {
      this.#conclude(id, concluded);
      this.#become(id, { state, outcome: copy(outcome), endedAt: Date.now() });
      this.#let(id, undefined);
    });
  }

  command(id: string, command: JsonObject): Promise<boolean> {
    return this.#write(() => {
      const row = this.#shelf.rows.get(id);
      if (row === undefined || ended.includes(row.run.state) || row.command !== undefined)
        return false;
      row.command = copy(command);
      if (row.owner === undefined) row.due = Date.now();
      return true;
    });
  }

  takeCommand(id: string): Promise<JsonObject | undefined> {
    return this.#read(() => {
      const row = this.#ours(id);
      const { command } = row;
      row.command = undefined;
      return command;
    });
  }

  get(id: string): Promise<StoredRun | undefined> {
    return this.#read(() => copy(this.#shelf.rows.get(id)?.run ?? null) ?? undefined);
  }

  list({ name, state, principal, limit = 50 }: RunFilter): Promise<readonly StoredRun[]> {
    return this.#read(() =>
      copy(
        this.#shelf.runs
          .filter(
            (run) =>
              (name ?? run.name) === run.name &&
              (state ?? run.state) === run.state &&
              (principal ?? run.caller.principal) === run.caller.principal,
          )
          .toReversed()
          .slice(0, limit),
      ),
    );
  }

  prune(keepMs: number, maxRuns: number, maxBytes = Infinity): Promise<number> {
    return this.#write(() => {
      const { rows } = this.#shelf;
      let bytes = 0;
      const old = [...rows.values()]
        .filter(({ run }) => ended.includes(run.state))
        .toReversed()
        .filter(({ run, journal }, index) => {
          bytes += JSON.stringify([run, journal]).length;
          return index >= maxRuns || bytes > maxBytes || (run.endedAt ?? 0) < Date.now() - keepMs;
        });
      for (const { run } of old) rows.delete(run.id);
      return old.length;
    });
  }

  freeDead(): Promise<number> {
    return this.#read(() => {
      const left = [...this.#shelf.rows.values()].filter(({ owner }) => owner?.isDead);
      for (const row of left) {
        row.owner = undefined;
        row.due = Date.now();
      }
      return left.length;
    });
  }

  close(): Promise<void> {
    if (this.isDead) return never();
    for (const row of this.#shelf.rows.values())
      if (row.owner === this && !ended.includes(row.run.state)) this.#let(row.run.id, Date.now());
    this.#isClosed = true;
    return Promise.resolve();
  }

  #isDue({ run, owner, due = Infinity }: Row): boolean {
    if (ended.includes(run.state)) return false;
    return owner === undefined ? due <= Date.now() : owner.#leaseMs < 0;
  }

  #ours(id: string): Row {
    const row = this.#shelf.rows.get(id);
    if (row?.owner === this && !ended.includes(row.run.state)) return row;
    this.#mine.delete(id);
    throw new LeaseLost("the run is not ours");
  }

  #become(id: string, changes: Partial<StoredRun>): void {
    const row = this.#ours(id);
    const { outcome: _, ...run } = row.run;
    row.run = { ...run, ...changes, updatedAt: Date.now() };
  }

  #let(id: string, due: number | undefined): void {
    const row = this.#shelf.rows.get(id);
    if (row === undefined) return;
    row.owner = undefined;
    row.due = row.command === undefined ? due : Date.now();
    this.#mine.delete(id);
  }

  /** Things are told in a later turn, as by a disk. */
  async #read<Value>(work: () => Value): Promise<Value> {
    await Promise.resolve();
    if (this.isDead) return never();
    if (this.#isClosed) throw new StoreFailed("the store is closed");
    return work();
  }

  async #write<Value>(work: () => Value): Promise<Value> {
    await Promise.resolve();
    if (this.isDead) return never();
    if (this.#isClosed) throw new StoreFailed("the store is closed");
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    const isLast = ++this.#writes === this.#fuse?.write;
    if (isLast && this.#fuse?.at === "before") this.isDead = true;
    if (this.isDead) return never();
    const value = work();
    if (!isLast) return value;
    this.isDead = true;
    return never();
  }
}
