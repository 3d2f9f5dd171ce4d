import { randomUUID } from "node:crypto";
import type { ChildProcessByStdio } from "node:child_process";
import { existsSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import spawn from "cross-spawn";
import { settlesWithin } from "../time.ts";
import { lineReader } from "../wire.ts";
import { markVariable, processTable, startTimeOf, type ProcessInfo } from "./process-table.ts";
import { endTrees, signalGroup, treeOf, type TreeRoot } from "./process-tree.ts";

/** How a server program is started. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** Keeps account of the servers that run, for the case that this process cannot end them itself. */
export interface ServerRecords {
  add(server: TreeRoot): void;
  /** Nothing of it is left. */
  remove(server: TreeRoot): void;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Milliseconds that a server gets to leave after its stdin has ended. */
const grace = 400;
/** Milliseconds that a stop waits for the list of what runs, and for what does not go even when it is killed. */
const lookTime = 100;
const lastWait = 1000;
/** Milliseconds in which the last words of an ended server come through the pipe. */
const wordsTime = 50;
const keptLines = 8;
const longestKeptLine = 300;
const longestStderrLine = 64 * 1024;

type StderrListener = (line: string | undefined) => void;

/** A program that was started, and that a `ServerProcess` has to be made of. */
export interface StartedProgram {
  readonly child: Child;
  /** Undefined where it could not be started. */
  readonly root: TreeRoot | undefined;
  /** Calls `listener` for each line of its stderr, first for those that came before; undefined: one too long. */
  readonly onStderr: (listener: StderrListener) => void;
  /** Resolves with the reason in words, when it has ended or could not be started. */
  readonly exited: Promise<string>;
  /** Resolves when its streams have ended, too. */
  readonly closed: Promise<unknown>;
}

/** Starts a program; its stdout is not read yet. It goes when this process exits. */
export function startProgram(program: Program): StartedProgram {
  const mark = randomUUID();
  const child = spawn(program.command, [...program.args], {
    cwd: program.cwd,
    env: { ...program.env, [markVariable]: marks(mark) },
    stdio: ["pipe", "pipe", "pipe"],
    // A process group of its own, so that all that it starts can be ended with it.
    detached: process.platform !== "win32",
    windowsHide: true,
  }) as Child;
  const { pid } = child;
  if (pid !== undefined) endWithUs(pid);
  child.stdin.on("error", () => {}); // it ended: `exited` tells
  child.stdout.on("error", () => {});
  child.stderr.on("error", () => {});
  // What nobody reads is gone when it exits.
  const early: (string | undefined)[] = [];
  let listener: StderrListener = (line) => early.push(line);
  child.stderr.on(
    "data",
    lineReader(
      (line) => listener(line),
      () => listener(undefined),
      longestStderrLine,
    ),
  );
  return {
    child,
    onStderr(next) {
      listener = next;
      for (const line of early.splice(0)) next(line);
    },
    root: pid === undefined ? undefined : { pid, startTime: startTimeOf(pid), mark, fresh: true },
    closed: new Promise((resolve) => child.on("close", resolve)),
    exited: new Promise<string>((resolve) => {
      child.on("error", (error: NodeJS.ErrnoException) => resolve(notStarted(program, error)));
      child.on("exit", (code, signal) =>
        resolve(signal === null ? `exited with code ${code}` : `was ended by ${signal}`),
      );
    }),
  };
}

/**
 * A server program that runs, with all that it has started. However it ends, by `stop()` or by itself,
 * what it has started is ended too: on Linux every descendant, elsewhere those that are in its process
 * group or that can be reached from parent to child when the end begins.
 *
 * Its environment is the program's and `HOLDFAST_OWNER`, by which its descendants are known.
 */
export class ServerProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly pid: number | undefined;
  /** Resolves with the reason in words, when the program has ended or could not be started. */
  readonly ended: Promise<string>;
  /** Resolves when the program and all that it had started have ended, with the pids that could not be ended. */
  readonly gone: Promise<readonly number[]>;
  readonly #child: Child;
  readonly #root: TreeRoot | undefined;
  readonly #mask: (text: string) => string;
  readonly #exited: Promise<unknown>;
  readonly #lastLines: string[] = [];
  #known: readonly ProcessInfo[] = [];
  #ending: Promise<readonly number[]> | undefined;
  #stopping: Promise<void> | undefined;

  /**
   * Starts it, unless it is given as `started`. `onStderr` is told each line of its stderr, which is always
   * drained. `records` has it from its start until nothing of it is left. `mask` takes secrets out of its last
   * words.
   */
  constructor(
    program: Program,
    onStderr: (line: string) => void,
    records?: ServerRecords,
    mask = (text: string): string => text,
    { child, root, onStderr: listen, exited, closed }: StartedProgram = startProgram(program),
  ) {
    this.#mask = mask;
    this.#child = child;
    this.pid = root?.pid;
    this.stdin = child.stdin;
    this.stdout = child.stdout;
    listen((line) => {
      this.#keep(line ?? `(a line of over ${longestStderrLine} bytes)`);
      if (line !== undefined) onStderr(line);
    });
    this.#exited = exited;
    this.ended = exited.then(async (how) => {
      await settlesWithin(closed, wordsTime);
      return `${how}${this.lastWords()}`;
    });
    if (root === undefined) {
      this.gone = Promise.resolve([]);
      return;
    }
    this.#root = root;
    records?.add(root);
    this.gone = exited.then(async () => {
      const left = await this.#end(root);
      forget(root.pid);
      if (left.length === 0) records?.remove(root);
      return left;
    });
  }

  /** The last lines of its stderr, ready to be put at the end of a message; empty where there are none. */
  lastWords(): string {
    return this.#lastLines.length === 0 ? "" : `; its last words: ${this.#lastLines.join(" | ")}`;
  }

  /**
   * Ends it and all that it has started: ends its stdin, 400 ms later sends SIGTERM to all, 300 ms later
   * SIGKILL to what is left. Settles when all are gone, within about a second. Never rejects.
   */
  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async #stop(): Promise<void> {
    const root = this.#root;
    if (root === undefined) return;
    await this.#politely(root);
    await settlesWithin(this.gone, lastWait);
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
  }

  async #politely(root: TreeRoot): Promise<void> {
    if (this.#ending !== undefined) return; // it has left by itself
    // Those whose parents leave first could not be found afterwards.
    const look = processTable().then((table) => (this.#known = treeOf(table, root)));
    await settlesWithin(look, lookTime);
    this.#child.stdin.end();
    if (!(await settlesWithin(this.#exited, grace))) await this.#end(root);
  }

  #end(root: TreeRoot): Promise<readonly number[]> {
    return (this.#ending ??= endTrees([root], this.#known).then(({ left }) => left));
  }

  #keep(line: string): void {
    if (this.#lastLines.length === keptLines) this.#lastLines.shift();
    this.#lastLines.push(this.#mask(line).trim().slice(0, longestKeptLine));
  }
}

/** Where this gateway runs under another, its servers are that one's too. */
function marks(mark: string): string {
  const inherited = process.env[markVariable];
  return inherited === undefined ? mark : `${inherited},${mark}`;
}

const running = new Set<number>();

/** Should this process exit without a stop (a defect, `process.exit`), the server and its group go at once. */
function endWithUs(pid: number): void {
  if (running.size === 0) process.once("exit", killRunning);
  running.add(pid);
}

function forget(pid: number): void {
  running.delete(pid);
  if (running.size === 0) process.off("exit", killRunning);
}

function killRunning(): void {
  for (const pid of running) signalGroup(pid, "SIGKILL");
}

function notStarted({ command, cwd, env }: Program, error: NodeJS.ErrnoException): string {
  // A missing folder is told by the platform as a missing command.
  if (!existsSync(cwd)) return `could not be started: its working folder ${cwd} was not found`;
  if (error.code === "ENOENT")
    return `could not be started: command "${command}" was not found (working folder ${cwd}, PATH ${env["PATH"] ?? "empty"})`;
  return `could not be started: ${error.message}`;
}
