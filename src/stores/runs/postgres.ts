import type { Backend } from "openworkflow/internal";
import { BackendPostgres } from "openworkflow/postgres";
import pLimit from "p-limit";
import postgres, { type Sql } from "postgres";
import { messageOf } from "../../errors.ts";
import { after } from "../../time.ts";
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

/** Connections, each of which does one transaction at a time. */
const mostConnections = 4;
/** Seconds that a connection may take to be made, and after which an unused one is closed. */
const connectTime = 5;
const idleTime = 60;

/** A PostgreSQL database, in which the tables are made in a schema of their own. */
export class PostgresDatabase implements Database {
  readonly local = false;
  readonly runs: string;
  readonly steps: string;
  readonly later = "(NOW() + CAST(? AS DOUBLE PRECISION) * INTERVAL '1 millisecond')";
  readonly text = "to_jsonb(CAST(? AS TEXT))";
  readonly #url: string;
  readonly #schema: string;
  readonly #limit = pLimit(mostConnections);
  readonly #idle: Connection[];
  readonly #all: readonly Connection[];
  readonly #running = new Set<Promise<unknown>>();
  #prepared: Promise<void> | undefined;

  /** `patience`: milliseconds that a transaction may take. */
  constructor(url: string, schema: string, patience = 15_000) {
    this.#url = url;
    this.#schema = schema;
    this.runs = `"${schema}"."workflow_runs"`;
    this.steps = `"${schema}"."step_attempts"`;
    this.#all = Array.from(
      { length: mostConnections },
      () => new Connection(url, schema, patience),
    );
    this.#idle = [...this.#all];
  }

  readonly time = (ms: number): Value => ms;

  readonly parse = (column: unknown): unknown => column;

  readonly withText = (field: string): string =>
    `jsonb_set("config", '{${field}}', to_jsonb(CAST(? AS TEXT)))`;

  readonly without = (field: string): string => `"config" - '${field}'`;

  readonly bytesOf = (column: string): string => `COALESCE(pg_column_size(${column}), 0)`;

  async lock({ rows }: Transaction, name: string): Promise<void> {
    await rows("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", [`${this.runs} ${name}`]);
  }

  async write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const done = this.#limit(() => this.#transaction(work));
    this.#running.add(done);
    try {
      return await done;
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#running.delete(done);
    }
  }

  async #transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const connection = this.#idle.pop() as Connection;
    try {
      await this.#prepare(connection);
      return await connection.transaction(work);
    } finally {
      this.#idle.push(connection);
    }
  }

  read<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.write(work);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#running);
    await Promise.all(this.#all.map((connection) => connection.close()));
  }

  /** Makes the tables where they are not there. Of several processes one does it. */
  #prepare(connection: Connection): Promise<void> {
    this.#prepared ??= connection
      .transaction(async (transaction) => {
        const { rows } = transaction;
        const last = `"${this.#schema}"."${lastIndex}"`;
        const [found] = await rows(`SELECT to_regclass(?) AS "found"`, [last]);
        if (found?.["found"] !== null) return;
        await this.lock(transaction, "tables");
        await makeTables(this.#url, this.#schema);
        for (const index of indexes(this.runs)) {
          // oxlint-disable-next-line no-await-in-loop -- one statement after the other
          await rows(index);
        }
      })
      .catch((error: unknown) => {
        this.#prepared = undefined;
        throw error;
      });
    return this.#prepared;
  }

  #failed(error: unknown): unknown {
    if (error instanceof LeaseLost || error instanceof StoreFailed) return error;
    return new StoreFailed(`the run store ${shown(this.#url)} cannot be used: ${told(error)}`, {
      cause: error,
      isInDoubt: error instanceof CommitUnanswered,
    });
  }
}

/** The connection was lost before the server had said whether it has kept the transaction. */
class CommitUnanswered extends Error {}

/** One connection, made when it is needed. */
class Connection {
  readonly #url: string;
  readonly #schema: string;
  readonly #patience: number;
  #sql: Sql | undefined;
  /** How often a connection of ours has ended. */
  #ends = 0;

  constructor(url: string, schema: string, patience: number) {
    this.#url = url;
    this.#schema = schema;
    this.#patience = patience;
  }

  async transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const sql = (this.#sql ??= this.#connect());
    const timer = after(this.#patience, () => void this.close());
    let sound = false;
    let isCommitting = false;
    try {
      await sql.unsafe("BEGIN");
      const ends = this.#ends;
      // The client connects again by itself, and would go on outside of the transaction.
      const check = (): void => {
        if (this.#ends !== ends) throw new Error("the connection was lost");
      };
      try {
        const result = await work(this.#within(sql, check));
        check();
        isCommitting = true;
        await sql.unsafe("COMMIT");
        sound = true;
        return result;
      } catch (error) {
        if (this.#ends === ends && !endsConnection(error)) {
          await sql.unsafe("ROLLBACK");
          sound = true;
        } else if (isCommitting) throw new CommitUnanswered(told(error), { cause: error });
        throw error;
      }
    } finally {
      timer.clear();
      // The client may wait for ever on a connection that is gone.
      if (!sound) void this.close();
    }
  }

  /** Ends what is under way with an error. Never rejects. */
  async close(): Promise<void> {
    const sql = this.#sql;
    this.#sql = undefined;
    await sql?.end({ timeout: 0 }).catch(() => {});
  }

  #connect(): Sql {
    return postgres(this.#url, {
      max: 1,
      connect_timeout: connectTime,
      idle_timeout: idleTime,
      max_lifetime: null,
      backoff: () => 0.2,
      fetch_types: false,
      onnotice: () => {},
      onclose: () => this.#ends++,
      // The engine counts on it.
      transform: { column: { from: postgres.toCamel } },
      connection: { application_name: "holdfast" },
    });
  }

  #within(sql: Sql, check: () => void): Transaction {
    const checked = new Proxy(sql, {
      apply(target, _, args: unknown[]) {
        check();
        return Reflect.apply(target, undefined, args) as unknown;
      },
    });
    const engine: Backend = BackendPostgres.fromPool(checked, {
      namespaceId: namespace,
      schema: this.#schema,
    });
    return {
      engine,
      rows: async (text, values = []) => {
        check();
        return sql.unsafe<Row[]>(numbered(text), [...values], { prepare: true });
      },
    };
  }
}

/** Whether its connection is not to be used after an error: it came from the network, or the server has ended it. */
const endsConnection = (error: unknown): boolean =>
  error instanceof Error &&
  ("errno" in error ||
    ("severity" in error && (error.severity === "FATAL" || error.severity === "PANIC")));

/** By the engine's own migrations, on a connection of its own. */
async function makeTables(url: string, schema: string): Promise<void> {
  // Where they fail, it leaves that connection open.
  const ends = `${url}${url.includes("?") ? "&" : "?"}idle_timeout=1&connect_timeout=${connectTime}`;
  const engine = await BackendPostgres.connect(ends, { namespaceId: namespace, schema });
  await engine.stop();
}

/** With PostgreSQL's placeholders. */
function numbered(sql: string): string {
  let number = 0;
  return sql.replaceAll("?", () => `$${++number}`);
}

/** Without what is secret in it. */
const shown = (url: string): string => url.replace(/\/\/[^/]*@/, "//").replace(/\?.*$/s, "");

/** Some errors of the client have no message. */
function told(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(", ");
  return messageOf(error);
}
