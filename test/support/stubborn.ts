import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import type { Program } from "../../src/upstream/process.ts";

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export const stubbornServer = script("stubborn-server.mjs");
export const stubbornChild = script("stubborn-child.mjs");
export const stubbornOwner = script("stubborn-owner.mjs");
export const stubbornClient = script("stubborn-client.mjs");

const linux = process.platform === "linux";
/** What a process may be to the server that starts it. Only Linux finds a daemon. */
export const kinds = linux ? ["plain", "detached", "daemon"] : ["plain", "detached"];
/** Those that are found even when the server has left before anybody looked. */
export const orphanKinds = linux ? kinds : ["plain"];

/** Polls until `condition` holds; fails after 20 seconds, with what `condition` is about. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`still not so: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether a process is there. One that has ended and waits for its parent (a zombie) is not. */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (!linux) return true;
    return !/\) [ZX] [^)]*$/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Stubborn processes that belong together: each tells its pid. Whatever is left at the test's end is killed. */
export interface Family {
  readonly env: Readonly<Record<string, string>>;
  /** Starts our stubborn server, with its options. */
  program(...options: string[]): Program;
  /** Waits until `count` of them are there, and resolves with the pids of all that were started. */
  ready(count: number): Promise<number[]>;
  pids(): number[];
  /** Waits until all of them have ended. */
  gone(): Promise<void>;
}

export function family(): Family {
  const folder = temporaryFolder();
  const pids = (): number[] => readdirSync(folder).map(Number);
  const ready = (pid: number): boolean =>
    readFileSync(join(folder, String(pid)), "utf8") === "ready";
  const env = { PATH: process.env["PATH"] ?? "", STUBBORN_FOLDER: folder };
  families.add(pids);
  return {
    env,
    program: (...options) => ({
      command: process.execPath,
      args: [stubbornServer, ...options],
      env,
      cwd: folder,
    }),
    async ready(count) {
      await until(
        `${count} stubborn processes are there`,
        () => pids().filter(ready).length >= count,
      );
      return pids();
    },
    pids,
    gone: () => until(`none of ${pids().join(", ")} is there`, () => !pids().some(alive)),
  };
}

/** A folder that goes when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-"));
  folders.add(folder);
  return folder;
}

/** Ends a process, whatever it does; nothing when it is gone. */
export function kill(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, "SIGKILL");
  } catch {
    // It is gone.
  }
}

const families = new Set<() => number[]>();
const folders = new Set<string>();

afterEach(() => {
  for (const pids of families) pids().forEach(kill);
  families.clear();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
});
