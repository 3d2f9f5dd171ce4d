import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { now, settlesWithin } from "../time.ts";

/**
 * The variable that every server gets, and all that it starts inherits: the server's mark, after the
 * marks of the servers that this gateway itself descends from. On Linux it can be read from outside, so
 * that a descendant is known even when its parents are gone and it has left group and session.
 */
export const markVariable = "HOLDFAST_OWNER";

/** A process, as one look at the machine saw it. */
export interface ProcessInfo {
  readonly pid: number;
  readonly ppid: number;
  /** Its process group; 0 where there are none (Windows) and for threads of the kernel. */
  readonly pgid: number;
  /** When it started: together, pid and start time name one process for good. Begins with a number that grows with time. */
  readonly startTime: string;
  /** What `markVariable` holds. Undefined where it was not read or cannot be. */
  readonly marks?: readonly string[];
}

/** All processes of the machine by pid, less those that have ended (zombies). Empty where they cannot be listed. */
export type ProcessTable = ReadonlyMap<number, ProcessInfo>;

type Fields = Omit<ProcessInfo, "marks">;

const linux = process.platform === "linux";
/** Milliseconds that a list of all processes may take; PowerShell takes one second to start. */
const patience = process.platform === "win32" ? 3000 : 500;
/** Milliseconds that all their marks may take: a second for 3000 processes. */
const marksPatience = 2000;
/** Files that are read in one go, which takes about a millisecond. */
const atOnce = 50;
/** Readers of environments. A process that hangs in the kernel may hang its reader, in one of Node's four threads. */
const readers = 2;
const mostOutput = 16 * 1024 * 1024;

/** The processes of the machine, without their marks. Never rejects. */
export const processTable = joined(() => (linux ? fromProc() : fromPrograms()));

/** The processes of the machine with their marks, where they can be read. Never rejects. */
export const markedTable = linux
  ? joined(async () => withMarks(await fromProc(), () => true))
  : processTable;

/**
 * The same, with the marks of those alone that this process' own servers may have left behind, which
 * takes a tenth of the time. Never rejects.
 */
export const orphanTable = linux
  ? joined(async () => {
      const table = await fromProc();
      return withMarks(table, orphansOf(table, process.pid));
    })
  : processTable;

/** When a process started, or undefined: it has ended, or this is not Linux. Takes microseconds. */
export function startTimeOf(pid: number): string | undefined {
  if (!linux) return undefined;
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"), bootId())?.startTime;
  } catch {
    return undefined;
  }
}

/** Whether it still runs, by a look at it alone. Off Linux whatever has its pid is taken for it, zombies too. */
export function stillRuns({ pid, startTime }: Pick<ProcessInfo, "pid" | "startTime">): boolean {
  if (linux) return startTimeOf(pid) === startTime;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** For the order of starts. Its unit is the platform's own. */
export const startedAt = ({ startTime }: ProcessInfo): number => Number.parseFloat(startTime);

/** Reads `/proc/PID/stat` (proc_pid_stat(5)). Undefined for a zombie, and for what is not such a file. */
export function parseStat(text: string, boot: string): Fields | undefined {
  // The name in parentheses is the program's own choice: it may hold spaces, lines and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state = "", ppid, pgid] = fields;
  const [threads, ticks] = [fields[17], fields[19]];
  // A program whose first thread has ended looks like a zombie, but runs on in its others.
  if (/^[Xx]/.test(state) || (state === "Z" && Number(threads) <= 1)) return undefined;
  const info = { pid: Number.parseInt(text, 10), ppid: Number(ppid), pgid: Number(pgid) };
  const whole = Object.values(info).every(Number.isInteger) && /^\d+$/.test(ticks ?? "");
  return whole ? { ...info, startTime: `${ticks}@${boot}` } : undefined;
}

/** Reads what `ps` prints of `psColumns`, told in English and UTC. */
export function parsePs(text: string): ProcessTable {
  const line = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.+?)\s*$/;
  return tableOf(
    text.split("\n").map((row) => {
      const [, pid, ppid, pgid, state = "Z", started] = line.exec(row) ?? [];
      const startTime = Date.parse(`${started} UTC`);
      if (state.startsWith("Z") || Number.isNaN(startTime)) return undefined;
      return {
        pid: Number(pid),
        ppid: Number(ppid),
        pgid: Number(pgid),
        startTime: String(startTime),
      };
    }),
  );
}

/** Reads lines of pid, parent and start in units of 100 ns, as `cimQuery` prints them. */
export function parseCim(text: string): ProcessTable {
  return tableOf(
    text.split("\n").map((row) => {
      const [, pid, ppid, startTime] = /^(\d+) (\d+) (\d+)\s*$/.exec(row) ?? [];
      if (startTime === undefined) return undefined;
      return { pid: Number(pid), ppid: Number(ppid), pgid: 0, startTime };
    }),
  );
}

/** Reads `/proc/PID/environ` (proc_pid_environ(5)). */
export function parseMarks(environment: string): string[] {
  const variable = `${markVariable}=`;
  const found = environment.split("\0").find((entry) => entry.startsWith(variable));
  return found === undefined ? [] : found.slice(variable.length).split(",");
}

const tableOf = (found: readonly (ProcessInfo | undefined)[]): ProcessTable =>
  new Map(found.flatMap((info) => (info === undefined ? [] : [[info.pid, info]])));

/** Who calls while a look is under way shares the next one, which begins when this has ended. */
function joined(look: () => Promise<ProcessTable>): () => Promise<ProcessTable> {
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<ProcessTable> | undefined;
  return () => {
    if (next === undefined) {
      next = last.then(() => {
        next = undefined;
        return look().catch((): ProcessTable => new Map());
      });
      last = next;
    }
    return next;
  };
}

async function fromProc(): Promise<ProcessTable> {
  const end = now() + patience;
  const boot = bootId();
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found: (ProcessInfo | undefined)[] = [];
  for (let from = 0; from < pids.length; from += atOnce) {
    for (const pid of pids.slice(from, from + atOnce))
      try {
        found.push(parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"), boot));
      } catch {
        // It has ended in the meantime.
      }
    // A part would be taken for all there is.
    if (now() > end) return new Map();
    // oxlint-disable-next-line no-await-in-loop -- others have a turn
    await new Promise((resolve) => setImmediate(resolve));
  }
  return tableOf(found);
}

/**
 * What may be a process whose parent has ended and that had `pid` among its forebears. Its parent is a
 * forebear of `pid` now, or the machine's first process (PR_SET_CHILD_SUBREAPER(2const)).
 */
export function orphansOf(table: ProcessTable, pid: number): (info: ProcessInfo) => boolean {
  const forebears = new Set([1]);
  for (let at = table.get(pid)?.ppid; at !== undefined; at = table.get(at)?.ppid) {
    if (forebears.has(at)) break;
    forebears.add(at);
  }
  const self = table.get(pid);
  const since = self === undefined ? 0 : startedAt(self);
  return (info) => forebears.has(info.ppid) && startedAt(info) >= since;
}

async function withMarks(
  table: ProcessTable,
  wanted: (info: ProcessInfo) => boolean,
): Promise<ProcessTable> {
  const marked = new Map(table);
  const processes = table.values();
  const read = async (): Promise<void> => {
    for (const info of processes) {
      if (info.pgid === 0 || !wanted(info)) continue;
      // oxlint-disable-next-line no-await-in-loop -- so that few are read at once
      const text = await readFile(`/proc/${info.pid}/environ`, "latin1").catch(() => undefined);
      if (text !== undefined) marked.set(info.pid, { ...info, marks: parseMarks(text) });
    }
  };
  await settlesWithin(Promise.all(Array.from({ length: readers }, read)), marksPatience);
  return marked;
}

const cimQuery =
  "Get-CimInstance Win32_Process | Where-Object CreationDate | ForEach-Object { '{0} {1} {2}' -f $_.ProcessId, $_.ParentProcessId, $_.CreationDate.ToFileTimeUtc() }";

/** One `-o` each: BSD takes all that follows a `=` for the column's heading (ps(1), FreeBSD and macOS). */
const psColumns = ["pid=", "ppid=", "pgid=", "stat=", "lstart="].flatMap((name) => ["-o", name]);

const fromPrograms = async (): Promise<ProcessTable> =>
  process.platform === "win32"
    ? parseCim(
        await output("powershell.exe", ["-NoProfile", "-NonInteractive", "-Command", cimQuery]),
      )
    : parsePs(await output("ps", ["-A", ...psColumns]));

const output = (command: string, args: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const env = { ...process.env, LC_ALL: "C", TZ: "UTC0" };
    const options = { env, timeout: patience, maxBuffer: mostOutput, windowsHide: true };
    execFile(command, args, options, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    );
  });

let thisBoot: string | undefined;

/** Ticks since boot alone are the same again after the next boot. */
const bootId = (): string =>
  (thisBoot ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
