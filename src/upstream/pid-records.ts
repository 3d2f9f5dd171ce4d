import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { messageOf } from "../errors.ts";
import { settlesWithin } from "../time.ts";
import {
  markedTable,
  processTable,
  startTimeOf,
  stillRuns,
  type ProcessTable,
} from "./process-table.ts";
import { endTrees, treeOf, type TreeRoot } from "./process-tree.ts";
import type { ServerRecords } from "./process.ts";

const recordSchema = z.object({
  owner: z.object({ pid: z.int(), startTime: z.string() }),
  servers: z.array(z.object({ pid: z.int(), startTime: z.string(), mark: z.string() })),
});

type PidRecord = z.infer<typeof recordSchema>;

/** Milliseconds that `close` waits for servers that are being ended, and for a slow disk. */
const lastServersTime = 1000;
const diskTime = 300;
/** Milliseconds after which a record of another machine, or of a container, is taken for forgotten: 7 days. */
const forgottenAfter = 7 * 24 * 3600 * 1000;

/**
 * The file in which a gateway keeps what it runs: `PID-PLACE-START.json` in its folder (700, the file
 * 600), with its own pid and start time and those of its servers. It is there while a server runs, and
 * it stays when the gateway is killed, for `reap`.
 */
export class PidRecords implements ServerRecords {
  readonly #folder: string;
  readonly #onProblem: (problem: string) => void;
  /** Their start times; undefined until they are looked up, which happens once. */
  readonly #servers = new Map<TreeRoot, string | undefined>();
  #ownStart = startTimeOf(process.pid);
  #stale = false;
  #writing: Promise<void> | undefined;
  #troubled = false;
  #emptied = (): void => {};

  /** A disk that is full or a folder that is not ours is told once to `onProblem`; all goes on. */
  constructor(folder: string, onProblem: (problem: string) => void) {
    this.#folder = folder;
    this.#onProblem = onProblem;
  }

  add(server: TreeRoot): void {
    this.#servers.set(server, server.startTime);
    this.#write();
  }

  remove(server: TreeRoot): void {
    if (!this.#servers.delete(server)) return;
    this.#write();
    if (this.#servers.size === 0) this.#emptied();
  }

  /** Resolves when the file says what is so, or the disk is too slow. Never rejects. */
  async written(): Promise<void> {
    if (this.#writing !== undefined) await settlesWithin(this.#writing, diskTime);
  }

  /**
   * For the end, when every server was stopped: waits up to a second for what servers that ended by
   * themselves have left behind, and until the file is removed. Where a server is left, the file stays.
   * Never rejects.
   */
  async close(): Promise<void> {
    const emptied = new Promise<void>((resolve) => (this.#emptied = resolve));
    if (this.#servers.size > 0) await settlesWithin(emptied, lastServersTime);
    await this.written();
  }

  #write(): void {
    this.#stale = true;
    this.#writing ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    // Changes that come together, or while a write is under way, are written together.
    await Promise.resolve();
    while (this.#stale) {
      this.#stale = false;
      // oxlint-disable-next-line no-await-in-loop -- one write at a time
      await this.#writeOnce().catch((error: unknown) => this.#tell(error));
    }
    this.#writing = undefined;
  }

  async #writeOnce(): Promise<void> {
    await this.#lookUp();
    if (this.#ownStart === undefined) throw new Error("processes cannot be listed here");
    const owner = { pid: process.pid, startTime: this.#ownStart };
    const file = join(this.#folder, fileName(owner));
    if (this.#servers.size === 0) return rm(file, { force: true });
    const servers = [...this.#servers].flatMap(([{ pid, mark }, startTime]) =>
      startTime === undefined ? [] : [{ pid, startTime, mark }],
    );
    const record: PidRecord = { owner, servers };
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await chmod(this.#folder, 0o700);
    await writeFile(`${file}.tmp`, JSON.stringify(record), { mode: 0o600 });
    await rename(`${file}.tmp`, file);
  }

  /** Off Linux, start times take a look at the machine. */
  async #lookUp(): Promise<void> {
    const unknown = [...this.#servers].flatMap(([server, start]) =>
      start === undefined ? server : [],
    );
    if (unknown.length === 0 && this.#ownStart !== undefined) return;
    const table = await processTable();
    this.#ownStart ??= table.get(process.pid)?.startTime;
    for (const server of unknown)
      if (this.#servers.has(server)) this.#servers.set(server, table.get(server.pid)?.startTime);
  }

  #tell(error: unknown): void {
    if (this.#troubled) return;
    this.#troubled = true;
    this.#onProblem(
      `the servers that run cannot be recorded in ${this.#folder}, so that what they leave behind when Holdfast is killed stays: ${messageOf(error)}`,
    );
  }
}

/**
 * Ends what killed gateways have left behind, by the records in `folder`, and removes these records.
 * Resolves with the number of processes that were ended; never rejects. Several gateways may do it at once.
 *
 * Nothing is done to the servers of an owner that lives, to a pid that is another process by now, and to a
 * tree that this process itself is part of. A record that cannot be read as one is removed when no process
 * has the pid in its name; one from another machine or container, when it was not written for 7 days; one
 * whose servers could not be ended is kept.
 */
export async function reap(folder: string): Promise<number> {
  try {
    const found = await readRecords(folder);
    if (found.length === 0) return 0;
    // Looked at after the records were read: who wrote one and is not there now has ended.
    const table = await markedTable();
    if (!table.has(process.pid)) return 0;
    const counts = await Promise.all(
      found.filter((record) => !ownerLives(record, table)).map((record) => end(record, table)),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  } catch {
    return 0;
  }
}

/** The same, where the owner of a record is not there any more by a look at it alone, which takes little. */
export async function reapDead(folder: string): Promise<number> {
  const found = await readRecords(folder).catch((): Found[] => []);
  const allRun = found.every(({ record }) => record !== undefined && stillRuns(record.owner));
  return allRun ? 0 : reap(folder);
}

interface Found {
  readonly file: string;
  /** The owner's pid, as the file's name has it. */
  readonly pid: number;
  readonly record: PidRecord | undefined;
}

/** The records of this place. Those of other places are removed when they are forgotten. */
async function readRecords(folder: string): Promise<Found[]> {
  const names = await readdir(folder).catch((): string[] => []);
  const found = await Promise.all(
    names.map(async (name): Promise<Found[]> => {
      const [, pid, where] = /^(\d+)-([0-9a-f]+)-[0-9a-f]+\.json(?:\.tmp)?$/.exec(name) ?? [];
      const file = join(folder, name);
      if (where === undefined) return [];
      if (where !== short(place())) {
        await removeForgotten(file);
        return [];
      }
      const text = await readFile(file, "utf8").catch(() => undefined);
      if (text === undefined) return [];
      // A file that was not written to its end is not a record.
      const record = name.endsWith(".tmp") ? undefined : parseRecord(text);
      return [{ file, pid: Number(pid), record }];
    }),
  );
  return found.flat();
}

function parseRecord(text: string): PidRecord | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function ownerLives({ pid, record }: Found, table: ProcessTable): boolean {
  const owner = table.get(record?.owner.pid ?? pid);
  if (record === undefined) return owner !== undefined;
  return owner?.startTime === record.owner.startTime;
}

async function end({ file, record }: Found, table: ProcessTable): Promise<number> {
  const roots = (record?.servers ?? []).map((server): TreeRoot => ({ ...server, fresh: false }));
  if (roots.some((root) => treeOf(table, root).some(({ pid }) => pid === process.pid))) return 0;
  const { ended, left } = await endTrees(roots);
  if (left.length === 0) await rm(file, { force: true }).catch(() => {});
  return ended;
}

async function removeForgotten(file: string): Promise<void> {
  const written = await stat(file).catch(() => undefined);
  if (written !== undefined && Date.now() - written.mtimeMs > forgottenAfter)
    await rm(file, { force: true }).catch(() => {});
}

const fileName = ({ pid, startTime }: PidRecord["owner"]): string =>
  `${pid}-${short(place())}-${short(startTime)}.json`;

const short = (text: string): string =>
  createHash("sha256").update(text).digest("hex").slice(0, 12);

/** Where a pid means the same process as here: on Linux this machine and this pid namespace. */
function place(): string {
  const parts = [
    () => readFileSync("/etc/machine-id", "utf8").trim(),
    () => readlinkSync("/proc/self/ns/pid"),
  ];
  return parts
    .map((part) => {
      try {
        return part();
      } catch {
        return "";
      }
    })
    .join(" ");
}
