import type { Caller, JsonObject } from "../../call.ts";
import {
  StoreFailed,
  type JournalEntry,
  type NewRun,
  type RunState,
  type StoredRun,
} from "../../workflows/run-store.ts";
import type { Database, Row } from "./database.ts";

/** The most bytes of JSON that anything written to a run may have. */
export const mostBytes = 16 * 1024 * 1024;

/*
 * All that is given to us is kept as a text of JSON within the engine's JSON. So it stays as it is where the
 * database has a JSON of its own: PostgreSQL's changes the order of keys, and takes no character 0.
 */

/** What a run's column `config` holds: what is asked for, and what changes. */
export interface RunConfig {
  readonly state: RunState;
  /** As JSON. */
  readonly principal: string;
  /** As JSON; what was left by `command`. */
  readonly command?: string;
}

/** JSON of what is to be kept. Throws StoreFailed where there is too much of it. */
export function textOf(value: unknown, what: string): string {
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) > mostBytes)
    throw new StoreFailed(
      `${what} is larger than ${mostBytes / 1024 / 1024} MiB, the most that the run store keeps in one piece`,
    );
  return text;
}

/** What a run's column `context` holds: what is not asked for, and never changes. Its input has its own column. */
export function contextOf(run: NewRun): string {
  const { kind, definition, event, caller, trace, tools, key } = run;
  return textOf({ kind, definition, event, caller, trace, tools, key }, "the definition");
}

/** The columns that `runOf` reads. */
export const runColumns = `"id", "workflow_name" AS "name", "version", "status", "config", "context", "input", "output", "created_at" AS "created", "updated_at" AS "updated", "finished_at" AS "finished"`;

/** The columns that `entryOf` reads. */
export const entryColumns = `"id", "step_name" AS "name", "config", "output", "created_at" AS "created", "finished_at" AS "finished"`;

type Dialect = Pick<Database, "parse">;

/** A run as its row has it. Never throws: what another version has written otherwise is left out. */
export function runOf(row: Row, { parse }: Dialect): StoredRun {
  const config = objectOf(() => parse(row["config"]));
  const context = objectIn(() => parse(row["context"]));
  const endedAt = timeOf(row["finished"]);
  const outcome = row["output"] === null ? undefined : objectIn(() => parse(row["output"]));
  return {
    id: String(row["id"]),
    name: String(row["name"]),
    version: stringOf(row["version"]),
    kind: context["kind"] === "saga" ? "saga" : "chain",
    definition: objectOf(() => context["definition"]),
    input: objectIn(() => parse(row["input"])),
    event: context["event"] ?? null,
    caller: callerOf(objectOf(() => context["caller"])),
    trace: stringOf(context["trace"]),
    tools: objectOf(() => context["tools"]) as Readonly<Record<string, string>>,
    ...(typeof context["key"] === "string" && { key: context["key"] }),
    state: stateOf(config["state"], endedAt !== undefined),
    startedAt: timeOf(row["created"]) ?? 0,
    updatedAt: timeOf(row["updated"]) ?? 0,
    ...(endedAt !== undefined && { endedAt }),
    ...(outcome !== undefined && { outcome }),
  };
}

/** What an entry's column `config` holds. */
export interface EntryConfig {
  /** Its place in the journal. */
  readonly place: number;
  readonly token: string;
  /** As JSON. */
  readonly intent: string;
}

/** Journal entries as their rows have them, oldest first. Never throws. */
export function entriesOf(rows: readonly Row[], dialect: Dialect): JournalEntry[] {
  return rows
    .map((row) => entryOf(row, dialect))
    .toSorted((a, b) => a.place - b.place || a.entry.at - b.entry.at)
    .map(({ entry }) => entry);
}

function entryOf(row: Row, { parse }: Dialect): { entry: JournalEntry; place: number } {
  const config = objectOf(() => parse(row["config"]));
  const endedAt = timeOf(row["finished"]);
  const entry: JournalEntry = {
    id: String(row["id"]),
    name: String(row["name"]),
    intent: objectIn(() => config["intent"]),
    token: stringOf(config["token"]),
    at: timeOf(row["created"]) ?? 0,
    ...(endedAt !== undefined && { endedAt, result: objectIn(() => parse(row["output"])) }),
  };
  return { entry, place: Number(config["place"] ?? 0) };
}

const states: readonly unknown[] = [
  "running",
  "compensating",
  "completed",
  "failed",
  "compensated",
  "stuck",
] satisfies RunState[];

/** A state that we do not know needs a person, unless the run has ended. */
function stateOf(state: unknown, ended: boolean): RunState {
  if (states.includes(state)) return state as RunState;
  return ended ? "failed" : "stuck";
}

const callerOf = ({ principal, session, client }: JsonObject): Caller => ({
  principal: stringOf(principal),
  session: stringOf(session),
  client: stringOf(client),
});

const stringOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** Milliseconds since 1970. */
function timeOf(column: unknown): number | undefined {
  if (column instanceof Date) return column.getTime();
  const time = typeof column === "string" ? Date.parse(column) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

function objectOf(read: () => unknown): JsonObject {
  try {
    const value = read();
    return typeof value === "object" && value !== null ? (value as JsonObject) : {};
  } catch {
    return {};
  }
}

/** The object that a text of JSON holds. */
export const objectIn = (read: () => unknown): JsonObject =>
  objectOf(() => JSON.parse(String(read())));
