import { execFile } from "node:child_process";
import { now, sleep } from "../time.ts";
import {
  markedTable,
  orphanTable,
  startedAt,
  stillRuns,
  type ProcessInfo,
  type ProcessTable,
} from "./process-table.ts";

/** A server's first process, and how all that it has started is told from everything else. */
export interface TreeRoot {
  readonly pid: number;
  /** Where it is not known, the pid alone names it, and only while the root is fresh. */
  readonly startTime: string | undefined;
  /** Its mark in `markVariable`. */
  readonly mark: string;
  /** Its pid cannot belong to another process yet: it runs, or has ended just now. */
  readonly fresh: boolean;
}

/** How the end of trees went. */
export interface Ended {
  /** How many processes were ended. */
  readonly ended: number;
  /** The pids of those that are still there: not ours to signal, or stuck in the kernel. */
  readonly left: readonly number[];
}

/** What is sent to all that is left, and milliseconds to go away thereupon. Later ones find what was started meanwhile. */
const steps = [
  ["SIGTERM", 300],
  ["SIGKILL", 50],
  ["SIGKILL", 100],
  ["SIGKILL", 100],
] as const;
const tick = 10;
/** Milliseconds that Windows' `taskkill` may take. */
const taskkillPatience = 1000;

type Signal = "SIGTERM" | "SIGKILL";

/** All that a process has started and what these have started in turn, as far as parents tell. */
export function descendants(table: ProcessTable, pid: number): ProcessInfo[] {
  return withDescendants(table, [pid]).filter((info) => info.pid !== pid);
}

/**
 * The processes of a tree: its root, the root's group, all that has its mark, those of `known` that
 * still run, and the descendants of all these. Of a pid that was given to another process, nothing.
 */
export function treeOf(
  table: ProcessTable,
  root: TreeRoot,
  known: readonly ProcessInfo[] = [],
): ProcessInfo[] {
  const first = table.get(root.pid);
  const reused =
    first !== undefined && root.startTime !== undefined && first.startTime !== root.startTime;
  // Whether the pid still means the root.
  const named = !reused && (root.fresh || (first !== undefined && root.startTime !== undefined));
  const all = [...table.values()];
  const ours = new Set([
    ...all.filter(({ marks }) => marks?.includes(root.mark) === true),
    ...known.flatMap(({ pid, startTime }) => {
      const info = table.get(pid);
      return info?.startTime === startTime ? [info] : [];
    }),
  ]);
  const group = all.filter(({ pgid }) => pgid === root.pid);
  // A group keeps its number while it has members, so one member that is ours says that all are.
  const groupIsOurs =
    named || (!reused && (group.some((info) => ours.has(info)) || abandoned(group)));
  return withDescendants(table, [
    ...(named ? [root.pid] : []),
    ...(groupIsOurs ? group : []).map(({ pid }) => pid),
    ...[...ours].map(({ pid }) => pid),
  ]);
}

/**
 * Ends trees: SIGTERM to every process of them, and SIGKILL to what is there 300 ms later. Settles
 * within about 0.7 s. This process itself, should it be among them, is left alone with its own tree.
 */
export async function endTrees(
  roots: readonly TreeRoot[],
  known: readonly ProcessInfo[] = [],
): Promise<Ended> {
  // The timers of time.ts do not keep this process alive, and it must not leave before it has ended them.
  const hold = setInterval(() => {}, 1000);
  try {
    return await end(roots, known);
  } finally {
    clearInterval(hold);
  }
}

/** Sends a signal to a process group. On Windows, where there are none, to the process alone. */
export function signalGroup(pid: number, signal: Signal | 0): boolean {
  return send(process.platform === "win32" ? pid : -pid, signal);
}

async function end(roots: readonly TreeRoot[], known: readonly ProcessInfo[]): Promise<Ended> {
  if (process.platform === "win32") await Promise.all(roots.filter(isFresh).map(taskkill));
  const seen = new Map<string, ProcessInfo>();
  const look = async (): Promise<ProcessInfo[] | undefined> => {
    const table = await (roots.every(isFresh) ? orphanTable() : markedTable());
    if (table.size === 0) return undefined;
    const remembered = [...known, ...seen.values()];
    const trees = roots.map((root) => treeOf(table, root, remembered));
    const found = new Set(trees.filter((tree) => !tree.some(isSelf)).flat());
    for (const info of found) seen.set(`${info.pid} ${info.startTime}`, info);
    return [...found];
  };
  let left = await look();
  if (left === undefined) return endGroups(roots.filter(isFresh));
  for (const [signal, ms] of steps) {
    if (left.length === 0) break;
    signalAll(roots, left, signal);
    // oxlint-disable no-await-in-loop -- one step after the other
    await gone(left, stillRuns, ms);
    left = (await look()) ?? left.filter(stillRuns);
    // oxlint-enable no-await-in-loop
  }
  const pids = new Set(left.map(({ pid }) => pid));
  return { ended: seen.size - pids.size, left: [...pids] };
}

/** All that can be done where processes cannot be listed. */
async function endGroups(roots: readonly TreeRoot[]): Promise<Ended> {
  const there = ({ pid }: TreeRoot): boolean => signalGroup(pid, 0);
  const before = roots.filter(there);
  for (const [signal, ms] of steps) {
    for (const { pid } of before) signalGroup(pid, signal);
    // oxlint-disable-next-line no-await-in-loop -- one step after the other
    await gone(before, there, ms);
  }
  const left = before.filter(there).map(({ pid }) => pid);
  return { ended: before.length - left.length, left };
}

/** Each process is signalled once: those of a root's group as a group, so that none that starts meanwhile is missed. */
function signalAll(
  roots: readonly TreeRoot[],
  processes: readonly ProcessInfo[],
  signal: Signal,
): void {
  const numbers = new Set(roots.map(({ pid }) => pid));
  const groups = new Set(processes.map(({ pgid }) => pgid).filter((pgid) => numbers.has(pgid)));
  for (const group of groups) signalGroup(group, signal);
  for (const info of processes)
    if (!groups.has(info.pgid) && stillRuns(info)) send(info.pid, signal);
}

async function gone<Item>(
  items: readonly Item[],
  there: (item: Item) => boolean,
  ms: number,
): Promise<void> {
  const until = now() + ms;
  // oxlint-disable-next-line no-await-in-loop -- it waits
  while (items.some(there) && now() < until) await sleep(tick);
}

/** Whether a group without its leader was left behind: outside it, only the machine's first process is a parent. */
const abandoned = (group: readonly ProcessInfo[]): boolean =>
  group.length > 0 &&
  group.every(
    ({ ppid, marks }) =>
      marks === undefined && (ppid === 1 || group.some(({ pid }) => pid === ppid)),
  );

function withDescendants(table: ProcessTable, pids: readonly number[]): ProcessInfo[] {
  const children = new Map<number, ProcessInfo[]>();
  for (const info of table.values()) {
    const siblings = children.get(info.ppid);
    if (siblings === undefined) children.set(info.ppid, [info]);
    else siblings.push(info);
  }
  const found = new Set(pids);
  for (const pid of found) {
    const parent = table.get(pid);
    for (const child of children.get(pid) ?? [])
      // On Windows a parent's pid may be another's by now, and that one younger than the child.
      if (parent === undefined || startedAt(child) >= startedAt(parent)) found.add(child.pid);
  }
  return [...found].flatMap((pid) => (pid > 1 ? (table.get(pid) ?? []) : []));
}

/** Ends a process and its descendants on Windows, without a list of all processes. */
const taskkill = ({ pid }: TreeRoot): Promise<void> =>
  new Promise((resolve) => {
    const options = { timeout: taskkillPatience, windowsHide: true };
    execFile("taskkill", ["/pid", String(pid), "/T", "/F"], options, () => resolve());
  });

const isFresh = ({ fresh }: TreeRoot): boolean => fresh;
const isSelf = ({ pid }: ProcessInfo): boolean => pid === process.pid;

/** Sends a signal; false where there is nobody to take it, or it is not ours to send. */
function send(pid: number, signal: Signal | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
