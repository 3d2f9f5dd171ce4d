import type { Backend } from "openworkflow/internal";

/** What SQL takes. */
export type Value = string | number | null;

export type Row = Readonly<Record<string, unknown>>;

/** Of everything done with one either all is kept, or nothing. */
export interface Transaction {
  /** The engine, within this transaction. */
  readonly engine: Backend;
  /** Runs one statement, whose placeholders are `?`. */
  readonly rows: (sql: string, values?: readonly Value[]) => Promise<readonly Row[]>;
}

/**
 * A database with the tables of the engine (`openworkflow`), and what differs between the two that there are.
 * It is opened when it is first needed, and again after that has failed. Its methods reject with StoreFailed
 * where it cannot be used; a LeaseLost or StoreFailed of `work` is passed on.
 */
export interface Database {
  /** Whether all that use it run on this machine. */
  readonly local: boolean;
  /** The engine's tables, as SQL has them. */
  readonly runs: string;
  readonly steps: string;
  /** An expression for a point of time; its one placeholder is for what `time` gives. */
  readonly later: string;
  /** An expression for a JSON column that holds a text; its one placeholder is for the text. */
  readonly text: string;
  /** The time in `ms` milliseconds, for `later`. */
  readonly time: (ms: number) => Value;
  /** What a JSON column holds. */
  readonly parse: (column: unknown) => unknown;
  /** An expression for the column `config` with a text in one of its fields; its one placeholder is for the text. */
  readonly withText: (field: string) => string;
  /** An expression for the column `config` without one of its fields. */
  readonly without: (field: string) => string;
  /** An expression for the bytes that a column takes. */
  readonly bytesOf: (column: string) => string;
  /** Waits for all other transactions that have locked the same name. */
  lock(transaction: Transaction, name: string): Promise<void>;
  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** The same where nothing is written. */
  read<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Never rejects. */
  close(): Promise<void>;
}

/** The engine's namespace for our runs. It is the same for good, so that an edit of config orphans none. */
export const namespace = "holdfast";

/** The last of `indexes`: where it is there, all is there. */
export const lastIndex = "holdfast_ended";

/** Our own indexes: runs by what `list` asks for, and ended ones by age, so that nothing large is read for it. */
export const indexes = (runs: string): readonly string[] => [
  `CREATE INDEX IF NOT EXISTS "holdfast_state" ON ${runs} ("namespace_id", ("config"->>'state'), "created_at")`,
  `CREATE INDEX IF NOT EXISTS "holdfast_principal" ON ${runs} ("namespace_id", ("config"->>'principal'), "created_at")`,
  `CREATE INDEX IF NOT EXISTS "${lastIndex}" ON ${runs} ("namespace_id", "finished_at", "id") WHERE "finished_at" IS NOT NULL`,
];
