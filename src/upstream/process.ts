import type { ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import spawn from "cross-spawn";
import { settlesWithin } from "../time.ts";
import { lineReader } from "../wire.ts";
import { killTree } from "./process-tree.ts";

/** How a server program is started. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Milliseconds that a server gets to leave after its stdin has ended, and again after SIGTERM. */
const grace = 500;
const keptLines = 8;
const longestKeptLine = 300;
const longestStderrLine = 64 * 1024;

/** A server program that runs, with all that it has started. */
export class ServerProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly pid: number | undefined;
  /** Resolves with the reason in words, when the program has ended or could not be started. */
  readonly ended: Promise<string>;
  readonly #child: Child;
  readonly #lastLines: string[] = [];

  /** Starts it. `onStderr` is told each line of its stderr, which is always drained. */
  constructor(program: Program, onStderr: (line: string) => void) {
    const child = spawn(program.command, [...program.args], {
      cwd: program.cwd,
      env: program.env,
      stdio: ["pipe", "pipe", "pipe"],
      // A process group of its own, so that all that it starts can be ended with it.
      detached: process.platform !== "win32",
      windowsHide: true,
    }) as Child;
    this.#child = child;
    this.pid = child.pid;
    this.stdin = child.stdin;
    this.stdout = child.stdout;
    child.stdin.on("error", () => {}); // it ended: `ended` tells
    child.stdout.on("error", () => {});
    child.stderr.on("error", () => {});
    child.stderr.on(
      "data",
      lineReader(
        (line) => {
          this.#keep(line);
          onStderr(line);
        },
        () => this.#keep(`(a line of over ${longestStderrLine} bytes)`),
        longestStderrLine,
      ),
    );
    this.ended = new Promise((resolve) => {
      child.on("error", (error: NodeJS.ErrnoException) => resolve(notStarted(program, error)));
      child.on("exit", (code, signal) => {
        const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
        // Its last words may still be in the pipe.
        void settlesWithin(new Promise((closed) => child.on("close", closed)), 50).then(() =>
          resolve(`${how}${this.lastWords()}`),
        );
      });
    });
  }

  /** The last lines of its stderr, ready to be put at the end of a message; empty where there are none. */
  lastWords(): string {
    return this.#lastLines.length === 0 ? "" : `; its last words: ${this.#lastLines.join(" | ")}`;
  }

  /** Ends it and all that it has started: politely, then not. Settles when it is gone. */
  async stop(): Promise<void> {
    const { pid } = this;
    if (pid === undefined) return;
    this.#child.stdin.end();
    if (!(await settlesWithin(this.ended, grace))) {
      killTree(pid, "SIGTERM");
      await settlesWithin(this.ended, grace);
    }
    killTree(pid, "SIGKILL");
    await settlesWithin(this.ended, grace);
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
  }

  #keep(line: string): void {
    if (this.#lastLines.length === keptLines) this.#lastLines.shift();
    this.#lastLines.push(line.trim().slice(0, longestKeptLine));
  }
}

function notStarted({ command, cwd, env }: Program, error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT")
    return `could not be started: command "${command}" was not found (working folder ${cwd}, PATH ${env["PATH"] ?? "empty"})`;
  return `could not be started: ${error.message}`;
}
