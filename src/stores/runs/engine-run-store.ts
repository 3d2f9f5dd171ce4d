import type { JsonObject } from "../../call.ts";
import {
  LeaseLost,
  StoreFailed,
  type Concluded,
  type JournalEntry,
  type NewRun,
  type RunFilter,
  type RunStore,
  type StoredRun,
} from "../../workflows/run-store.ts";
import { namespace, type Database, type Transaction, type Value } from "./database.ts";
import { hasEnded } from "./owner.ts";
import {
  contextOf,
  entriesOf,
  entryColumns,
  objectIn,
  runColumns,
  runOf,
  textOf,
  type EntryConfig,
  type RunConfig,
} from "./rows.ts";

/** A run that is driven here. */
interface Held {
  /** The place of its next entry in the journal. */
  place: number;
}

/** Milliseconds until a run that waits for a command is due: a hundred years. */
const never = 100 * 365.25 * 24 * 3600 * 1000;
/** Runs that are removed in one transaction, so that no other waits long. */
const removedAtOnce = 100;
/** How often a claim may come upon a run whose driver here has not been told yet that it is lost. */
const mostReturned = 10;
const mostListed = 1000;

/**
 * Keeps runs in the tables of the engine `openworkflow`: a run is its workflow run, a journal entry its step
 * attempt, our token its worker id. Its worker and its replay are not used. How a run stands, and the command
 * that was left for it, are in the run's column `config`.
 */
export class EngineRunStore implements RunStore {
  readonly token: string;
  readonly #leaseMs: number;
  readonly #database: Database;
  /** By run id. What somebody here drives, whether or not the lease is still ours. */
  readonly #held = new Map<string, Held>();
  #closed = false;

  /** `leaseMs`: milliseconds after which others may claim a run of ours, unless `renew` is called. */
  constructor(database: Database, token: string, leaseMs: number) {
    this.#database = database;
    this.token = token;
    this.#leaseMs = leaseMs;
  }

  async begin(run: NewRun): Promise<{ readonly run: StoredRun; readonly isNew: boolean }> {
    const database = this.#opened();
    const { runs, later } = database;
    const principal = JSON.stringify(run.caller.principal);
    const config: RunConfig = { state: "running", principal };
    const texts = { context: contextOf(run), input: textOf(run.input, "the input") };
    const key = run.key === undefined ? null : JSON.stringify([run.caller.principal, run.key]);
    const begun = await database.write(async (transaction) => {
      const existing = key === null ? undefined : await this.#byKey(transaction, run.name, key);
      if (existing !== undefined) return { run: existing, isNew: false };
      const { id } = await transaction.engine.createWorkflowRun({
        workflowName: run.name,
        version: run.version,
        // The engine forgets its own after a day.
        idempotencyKey: null,
        config: { ...config },
        ...texts,
        parentStepAttemptNamespaceId: null,
        parentStepAttemptId: null,
        availableAt: null,
        deadlineAt: null,
      });
      const [row = {}] = await transaction.rows(
        `UPDATE ${runs} SET "status" = 'running', "worker_id" = ?, "idempotency_key" = ?,
           "attempts" = 1, "started_at" = "created_at", "available_at" = ${later}
         WHERE "namespace_id" = ? AND "id" = ? RETURNING ${runColumns}`,
        [this.token, key, database.time(this.#leaseMs), namespace, id],
      );
      return { run: runOf(row, database), isNew: true };
    });
    if (begun.isNew) this.#held.set(begun.run.id, { place: 0 });
    return begun;
  }

  async #byKey(
    transaction: Transaction,
    name: string,
    key: string,
  ): Promise<StoredRun | undefined> {
    await this.#database.lock(transaction, JSON.stringify([name, key]));
    const [row] = await transaction.rows(
      `SELECT ${runColumns} FROM ${this.#database.runs}
       WHERE "namespace_id" = ? AND "workflow_name" = ? AND "idempotency_key" = ? LIMIT 1`,
      [namespace, name, key],
    );
    return row && runOf(row, this.#database);
  }

  async claim(): Promise<StoredRun | undefined> {
    const database = this.#opened();
    const claimed = await database.write(async (transaction) => {
      await this.#renew(transaction, { lapsed: true });
      const id = await this.#claimOne(transaction);
      if (id === undefined) return undefined;
      const ofRun = [namespace, id];
      const [row = {}] = await transaction.rows(
        `SELECT ${runColumns} FROM ${database.runs} WHERE "namespace_id" = ? AND "id" = ?`,
        ofRun,
      );
      const [last] = await transaction.rows(
        `SELECT MAX(CAST("config"->>'place' AS INTEGER)) AS "place" FROM ${database.steps}
         WHERE "namespace_id" = ? AND "workflow_run_id" = ?`,
        ofRun,
      );
      return { run: runOf(row, database), place: Number(last?.["place"] ?? -1) + 1 };
    });
    if (claimed !== undefined) this.#held.set(claimed.run.id, { place: claimed.place });
    return claimed?.run;
  }

  /**
   * Claims a run that nobody drives here. One that another process took from us, and has let go of, is given
   * back: who drives it here must first be told by a LeaseLost, as both would write with the same token.
   */
  async #claimOne({ engine }: Transaction): Promise<string | undefined> {
    for (let returned = 0; returned < mostReturned; returned++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const run = await engine.claimWorkflowRun({
        workerId: this.token,
        leaseDurationMs: this.#leaseMs,
      });
      if (run === null) return undefined;
      if (!this.#held.has(run.id)) return run.id;
      // oxlint-disable-next-line no-await-in-loop
      await engine.sleepWorkflowRun({
        workflowRunId: run.id,
        workerId: this.token,
        availableAt: new Date(Date.now() + this.#leaseMs),
      });
    }
    return undefined;
  }

  async journal(id: string): Promise<readonly JournalEntry[]> {
    const database = this.#opened();
    if (!isId(id)) return [];
    const rows = await database.read((transaction) =>
      transaction.rows(
        `SELECT ${entryColumns} FROM ${database.steps} WHERE "namespace_id" = ? AND "workflow_run_id" = ?`,
        [namespace, id],
      ),
    );
    return entriesOf(rows, database);
  }

  intend(
    id: string,
    name: string,
    intent: JsonObject,
    concluded: readonly Concluded[] = [],
  ): Promise<string> {
    return this.#write(id, async ({ engine }, held) => {
      await this.#conclude(engine, id, concluded);
      const config: EntryConfig = {
        place: held.place++,
        token: this.token,
        intent: textOf(intent, `the intent of ${name}`),
      };
      const entry = await engine.createStepAttempt({
        workflowRunId: id,
        workerId: this.token,
        stepName: name,
        kind: "function",
        config: { ...config },
        context: null,
      });
      return entry.id;
    });
  }

  /** Where it was written before, that stays. */
  conclude(id: string, entry: string, result: JsonObject): Promise<void> {
    return this.#write(id, ({ engine }) => this.#conclude(engine, id, [{ entry, result }]));
  }

  async #conclude(
    engine: Transaction["engine"],
    id: string,
    concluded: readonly Concluded[],
  ): Promise<void> {
    for (const { entry, result } of concluded)
      // oxlint-disable-next-line no-await-in-loop -- within one transaction
      await engine.completeStepAttempt({
        workflowRunId: id,
        stepAttemptId: entry,
        workerId: this.token,
        output: textOf(result, "the result"),
      });
  }

  mark(id: string, state: "running" | "compensating"): Promise<void> {
    return this.#write(id, async (transaction) => {
      const { withText } = this.#database;
      await this.#set(transaction, id, `"config" = ${withText("state")}, "output" = NULL`, [state]);
    });
  }

  park(
    id: string,
    outcome: JsonObject,
    retryMs = never,
    concluded: readonly Concluded[] = [],
  ): Promise<void> {
    return this.#letGo(id, retryMs, async (transaction) => {
      await this.#conclude(transaction.engine, id, concluded);
      const { withText, text } = this.#database;
      await this.#set(transaction, id, `"config" = ${withText("state")}, "output" = ${text}`, [
        "stuck",
        textOf(outcome, "the outcome"),
      ]);
    });
  }

  /** Where it cannot be written, the lease runs out by itself. */
  async release(id: string, afterMs = 0): Promise<void> {
    try {
      await this.#letGo(id, afterMs);
    } finally {
      this.#held.delete(id);
    }
  }

  async #letGo(
    id: string,
    afterMs: number,
    last?: (transaction: Transaction) => Promise<void>,
  ): Promise<void> {
    await this.#write(id, async (transaction) => {
      await last?.(transaction);
      await transaction.engine.sleepWorkflowRun({
        workflowRunId: id,
        workerId: this.token,
        availableAt: new Date(),
      });
      // With a command it is due now.
      const { runs, later, time } = this.#database;
      await transaction.rows(
        `UPDATE ${runs} SET "available_at" = ${later}
         WHERE "namespace_id" = ? AND "id" = ? AND "config"->>'command' IS NULL`,
        [time(afterMs), namespace, id],
      );
    });
    this.#held.delete(id);
  }

  async finish(
    id: string,
    state: "completed" | "failed" | "compensated",
    outcome: JsonObject,
    concluded: readonly Concluded[] = [],
  ): Promise<void> {
    await this.#write(id, async (transaction) => {
      await this.#conclude(transaction.engine, id, concluded);
      await transaction.engine.completeWorkflowRun({
        workflowRunId: id,
        workerId: this.token,
        output: textOf(outcome, "the outcome"),
      });
      const { withText } = this.#database;
      await this.#set(transaction, id, `"config" = ${withText("state")}`, [state]);
    });
    this.#held.delete(id);
  }

  async command(id: string, command: JsonObject): Promise<boolean> {
    const database = this.#opened();
    if (!isId(id)) return false;
    const { runs, later, withText } = database;
    const text = textOf(command, "the command");
    const now = database.time(0);
    const left = await database.write((transaction) =>
      transaction.rows(
        `UPDATE ${runs} SET "config" = ${withText("command")}, "updated_at" = ${later},
           "available_at" = CASE WHEN "worker_id" IS NULL AND "available_at" > ${later} THEN ${later} ELSE "available_at" END
         WHERE "namespace_id" = ? AND "id" = ? AND "finished_at" IS NULL AND "config"->>'command' IS NULL
         RETURNING "id"`,
        [text, now, now, now, namespace, id],
      ),
    );
    return left.length > 0;
  }

  async takeCommand(id: string): Promise<JsonObject | undefined> {
    const database = this.#opened();
    const [left] = await database.read((transaction) =>
      transaction.rows(
        `SELECT "config"->>'command' AS "command" FROM ${database.runs}
         WHERE "namespace_id" = ? AND "id" = ? AND "status" = 'running' AND "worker_id" = ?`,
        [namespace, id, this.token],
      ),
    );
    if (left === undefined) throw this.#lost(id);
    const { command } = left;
    if (typeof command !== "string") return undefined;
    await this.#write(id, async (transaction) => {
      await this.#set(transaction, id, `"config" = ${database.without("command")}`);
    });
    return objectIn(() => command);
  }

  async get(id: string): Promise<StoredRun | undefined> {
    const database = this.#opened();
    if (!isId(id)) return undefined;
    const [row] = await database.read((transaction) =>
      transaction.rows(
        `SELECT ${runColumns} FROM ${database.runs} WHERE "namespace_id" = ? AND "id" = ?`,
        [namespace, id],
      ),
    );
    return row && runOf(row, database);
  }

  async list(filter: RunFilter): Promise<readonly StoredRun[]> {
    const { name, state, principal, limit = 50 } = filter;
    const database = this.#opened();
    const wanted: readonly (readonly [string, string | undefined])[] = [
      [`"workflow_name"`, name],
      [`"config"->>'state'`, state],
      [`"config"->>'principal'`, principal === undefined ? undefined : JSON.stringify(principal)],
    ];
    const given = wanted.flatMap(([column, value]) =>
      value === undefined ? [] : [{ test: ` AND ${column} = ?`, value }],
    );
    const rows = await database.read((transaction) =>
      transaction.rows(
        `SELECT ${runColumns} FROM ${database.runs}
         WHERE "namespace_id" = ?${given.map(({ test }) => test).join("")}
         ORDER BY "created_at" DESC, "id" DESC LIMIT ?`,
        [namespace, ...given.map(({ value }) => value), Math.min(limit, mostListed)],
      ),
    );
    return rows.map((row) => runOf(row, database));
  }

  async prune(keepMs: number, maxRuns: number, maxBytes?: number): Promise<number> {
    const database = this.#opened();
    const { runs, steps, later, bytesOf } = database;
    const sizes = (columns: readonly string[]): string => columns.map(bytesOf).join(" + ");
    const bytes =
      maxBytes === undefined
        ? "0"
        : `${sizes([`r."config"`, `r."context"`, `r."input"`, `r."output"`])} + COALESCE((
             SELECT SUM(${sizes([`s."config"`, `s."output"`])}) FROM ${steps} s
             WHERE s."namespace_id" = r."namespace_id" AND s."workflow_run_id" = r."id"), 0)`;
    const old = await database.read((transaction) =>
      transaction.rows(
        `SELECT "id" FROM (
           SELECT "id", "finished_at",
             ROW_NUMBER() OVER (ORDER BY "finished_at" DESC, "id" DESC) AS "nth",
             SUM("bytes") OVER (ORDER BY "finished_at" DESC, "id" DESC) AS "total"
           FROM (
             SELECT r."id", r."finished_at", ${bytes} AS "bytes" FROM ${runs} r
             WHERE r."namespace_id" = ? AND r."finished_at" IS NOT NULL) AS sized) AS counted
         WHERE "finished_at" < ${later} OR "nth" > ? OR "total" > ?`,
        [namespace, database.time(-keepMs), maxRuns, maxBytes ?? 0],
      ),
    );
    let removed = 0;
    for (let from = 0; from < old.length; from += removedAtOnce) {
      const ids = old.slice(from, from + removedAtOnce).map(({ id }) => String(id));
      // oxlint-disable-next-line no-await-in-loop -- others are let in between
      const gone = await database.write((transaction) =>
        transaction.rows(
          `DELETE FROM ${runs} WHERE "namespace_id" = ? AND "finished_at" IS NOT NULL AND "id" IN (${places(ids)}) RETURNING "id"`,
          [namespace, ...ids],
        ),
      );
      removed += gone.length;
    }
    return removed;
  }

  async freeDead(): Promise<number> {
    const database = this.#opened();
    const { runs } = database;
    const owned = await database.read((transaction) =>
      transaction.rows(
        `SELECT DISTINCT "worker_id" AS "token" FROM ${runs}
         WHERE "namespace_id" = ? AND "status" = 'running' AND "worker_id" IS NOT NULL`,
        [namespace],
      ),
    );
    const dead = owned
      .map(({ token }) => String(token))
      .filter((token) => hasEnded(token, database.local));
    if (dead.length === 0) return 0;
    return database.write((transaction) => this.#free(transaction, dead));
  }

  /** Takes all their runs from those with these tokens. Resolves with how many there are. */
  async #free({ rows }: Transaction, tokens: readonly string[]): Promise<number> {
    const { runs, later, time } = this.#database;
    const freed = await rows(
      `UPDATE ${runs} SET "worker_id" = NULL, "available_at" = ${later}
       WHERE "namespace_id" = ? AND "status" = 'running' AND "worker_id" IN (${places(tokens)}) RETURNING "id"`,
      [time(0), namespace, ...tokens],
    );
    return freed.length;
  }

  /** Renews the leases of what is driven here and was not lost. To be called well within each lease. */
  async renew(): Promise<void> {
    if (this.#held.size === 0) return;
    await this.#opened().write((transaction) => this.#renew(transaction, { lapsed: false }));
  }

  async #renew({ rows }: Transaction, { lapsed }: { readonly lapsed: boolean }): Promise<void> {
    const ids = [...this.#held.keys()];
    if (ids.length === 0) return;
    const { runs, later, time } = this.#database;
    await rows(
      `UPDATE ${runs} SET "available_at" = ${later}
       WHERE "namespace_id" = ? AND "status" = 'running' AND "worker_id" = ? AND "id" IN (${places(ids)})
       ${lapsed ? `AND "available_at" <= ${later}` : ""}`,
      [time(this.#leaseMs), namespace, this.token, ...ids, ...(lapsed ? [time(0)] : [])],
    );
  }

  /** Does not reject: leases that cannot be given back run out. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#held.size > 0)
      await this.#database
        .write((transaction) => this.#free(transaction, [this.token]))
        .catch(() => {});
    await this.#database.close();
  }

  #opened(): Database {
    if (this.#closed) throw new StoreFailed("the run store is closed");
    return this.#database;
  }

  /** Writes to a run of ours; its lease is renewed with it. */
  async #write<T>(
    id: string,
    work: (transaction: Transaction, held: Held) => Promise<T>,
  ): Promise<T> {
    const database = this.#opened();
    const held = this.#held.get(id);
    if (held === undefined) throw this.#lost(id);
    return database.write(async (transaction) => {
      const { runs, later } = database;
      const ours = await transaction.rows(
        `UPDATE ${runs} SET "available_at" = ${later}, "updated_at" = ${later}
         WHERE "namespace_id" = ? AND "id" = ? AND "status" = 'running' AND "worker_id" = ? RETURNING "id"`,
        [database.time(this.#leaseMs), database.time(0), namespace, id, this.token],
      );
      if (ours.length === 0) throw this.#lost(id);
      return work(transaction, held);
    });
  }

  /** Sets columns of a run of ours, within `#write`. */
  async #set(
    { rows }: Transaction,
    id: string,
    columns: string,
    values: readonly Value[] = [],
  ): Promise<void> {
    await rows(
      `UPDATE ${this.#database.runs} SET ${columns} WHERE "namespace_id" = ? AND "id" = ?`,
      [...values, namespace, id],
    );
  }

  #lost(id: string): LeaseLost {
    this.#held.delete(id);
    return new LeaseLost(
      `run ${id} is not driven by this process: it was taken over, or has ended`,
    );
  }
}

/** PostgreSQL takes no text with a character 0. */
const isId = (text: string): boolean => /^[\da-f-]{36}$/.test(text);

const places = (values: readonly unknown[]): string => values.map(() => "?").join(", ");
