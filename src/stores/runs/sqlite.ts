import { chmod, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import type LibsqlDatabase from "libsql";
import type { Backend } from "openworkflow/internal";
import pLimit from "p-limit";
import { messageOf } from "../../errors.ts";
import { now } from "../../time.ts";
import { LeaseLost, StoreFailed } from "../../workflows/run-store.ts";
import {
  indexes,
  lastIndex,
  namespace,
  type Database,
  type Row,
  type Transaction,
  type Value,
} from "./database.ts";
import { engineTables, engineVersion } from "./sqlite-schema.ts";

interface SqliteOptions {
  readonly file: string;
  /** Whether the file's folder is ours, so that nobody else may see into it. */
  readonly ownFolder: boolean;
  /** Milliseconds to wait for a database that others have locked. Default 5000. */
  readonly patience?: number;
}

/** Milliseconds that SQLite itself waits for a lock. It hears nothing meanwhile, not even that the process ends. */
const lockWait = 250;
/** Bytes that the write-ahead log is cut to when it was longer. */
const mostLog = 64 * 1024 * 1024;

/** What the engine does in a transaction of its own, when it is in one of ours. */
const nested: Readonly<Record<string, string>> = {
  "BEGIN IMMEDIATE": "SAVEPOINT engine",
  COMMIT: "RELEASE engine",
  ROLLBACK: "ROLLBACK TO engine; RELEASE engine",
};

interface Opened {
  readonly db: LibsqlDatabase.Database;
  readonly transaction: Transaction;
}

/**
 * A SQLite file (600, in a folder of 700), which several processes may use. One transaction runs at a time;
 * each is on disk when it is done (`synchronous=FULL`).
 *
 * It is not searched for damage when it is opened, which takes a second for each gigabyte: SQLite tells of
 * damage when it comes upon it, and then nothing is written.
 */
export class SqliteDatabase implements Database {
  readonly local = true;
  readonly runs = `"workflow_runs"`;
  readonly steps = `"step_attempts"`;
  readonly later = "?";
  readonly text = "json_quote(?)";
  readonly #options: SqliteOptions;
  readonly #oneByOne = pLimit(1);
  #opened: Opened | undefined;

  constructor(options: SqliteOptions) {
    this.#options = options;
  }

  readonly time = (ms: number): Value => new Date(Date.now() + ms).toISOString();

  readonly parse = (column: unknown): unknown => JSON.parse(String(column));

  readonly withText = (field: string): string => `json_set("config", '$.${field}', ?)`;

  readonly without = (field: string): string => `json_remove("config", '$.${field}')`;

  readonly bytesOf = (column: string): string => `COALESCE(octet_length(${column}), 0)`;

  /** All that write wait for each other. */
  async lock(): Promise<void> {}

  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#transaction("BEGIN IMMEDIATE", work);
  }

  read<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#transaction("BEGIN", work);
  }

  close(): Promise<void> {
    return this.#oneByOne(() => {
      this.#opened?.db.close();
      this.#opened = undefined;
    });
  }

  #transaction<T>(begin: string, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#oneByOne(() =>
      this.#patiently(async () => {
        this.#opened ??= await this.#open();
        const { db, transaction } = this.#opened;
        try {
          db.exec(begin);
          const result = await work(transaction);
          db.exec("COMMIT");
          return result;
        } catch (error) {
          if (db.inTransaction) db.exec("ROLLBACK");
          throw error;
        }
      }),
    );
  }

  /** Tries until the database is not locked, or patience ends. */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const begun = now();
    const { patience = 5000 } = this.#options;
    for (;;)
      try {
        // oxlint-disable-next-line no-await-in-loop -- one try after the other
        return await work();
      } catch (error) {
        if (codeOf(error) !== "SQLITE_BUSY" || now() - begun >= patience) throw this.#failed(error);
      }
  }

  async #open(): Promise<Opened> {
    await this.#makeFile();
    const [{ default: Libsql }, { BackendSqlite }] = await Promise.all([
      import("libsql"),
      import("openworkflow/sqlite"),
    ]);
    const db = new Libsql(this.#options.file);
    try {
      db.exec(`PRAGMA busy_timeout = ${lockWait}`);
      const [mode] = db.pragma("journal_mode = WAL") as Row[];
      if (mode?.["journal_mode"] !== "wal")
        throw new Error("its file system cannot be shared between processes (no WAL mode)");
      db.exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
      db.exec(`PRAGMA journal_size_limit = ${mostLog}`);
      migrate(db);
    } catch (error) {
      db.close();
      throw error;
    }
    // There are few statements, and to compile one takes longer than to run it.
    const prepared = new Map<string, LibsqlDatabase.Statement>();
    const prepare = (sql: string): LibsqlDatabase.Statement => {
      let statement = prepared.get(sql);
      if (statement === undefined) prepared.set(sql, (statement = db.prepare(sql)));
      return statement;
    };
    const rows = async (sql: string, values: readonly Value[] = []): Promise<Row[]> =>
      prepare(sql).all(values) as Row[];
    const handle = { exec: (sql: string) => db.exec(nested[sql] ?? sql), prepare };
    // Its constructor is private; what it makes by itself opens the file without waiting for locks.
    const engine = Reflect.construct(BackendSqlite, [handle, namespace]) as Backend;
    return { db, transaction: { engine, rows } };
  }

  async #makeFile(): Promise<void> {
    const { file, ownFolder } = this.#options;
    const folder = dirname(file);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (ownFolder) await chmod(folder, 0o700);
    // SQLite gives its other files the mode of this one.
    const handle = await open(file, "a", 0o600);
    try {
      if (ownFolder) await handle.chmod(0o600);
    } finally {
      await handle.close();
    }
  }

  #failed(error: unknown): unknown {
    if (error instanceof LeaseLost || error instanceof StoreFailed) return error;
    const code = codeOf(error);
    return new StoreFailed(this.#told(code, messageOf(error)), { cause: error });
  }

  #told(code: string | undefined, message: string): string {
    const { file, patience = 5000 } = this.#options;
    const store = `the run store ${file}`;
    if (code === "SQLITE_CORRUPT" || code === "SQLITE_NOTADB")
      return `${store} is damaged: ${message}; end Holdfast and move it away to begin a new one`;
    if (code === "SQLITE_BUSY")
      return `${store} was locked by another program for ${patience / 1000} s`;
    if (code === "SQLITE_FULL" || code === "ENOSPC") return `the disk of ${store} is full`;
    if (code === "SQLITE_READONLY") return `${store} cannot be written: ${message}`;
    return `${store} cannot be used: ${message}`;
  }
}

/** Makes the tables where they are not there, all at once. */
function migrate(db: LibsqlDatabase.Database): void {
  const has = (name: string): boolean =>
    db.prepare(`SELECT 1 FROM "sqlite_master" WHERE "name" = ?`).all([name]).length > 0;
  if (has(lastIndex)) return assertKnown(db);
  db.exec("BEGIN IMMEDIATE");
  try {
    if (!has("openworkflow_migrations")) db.exec(engineTables);
    for (const index of indexes(`"workflow_runs"`)) db.exec(index);
    db.exec("COMMIT");
  } catch (error) {
    if (db.inTransaction) db.exec("ROLLBACK");
    throw error;
  }
  assertKnown(db);
}

function assertKnown(db: LibsqlDatabase.Database): void {
  const [last] = db
    .prepare(`SELECT MAX("version") AS "version" FROM "openworkflow_migrations"`)
    .all([]) as Row[];
  if (Number(last?.["version"]) !== engineVersion)
    throw new Error("it was made by another version of Holdfast");
}

/** SQLite's main code, or that of the file system. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string")
    return undefined;
  return /^SQLITE_[A-Z]+/.exec(error.code)?.[0] ?? error.code;
}
