import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { RunStoreOptions } from "../../src/stores/runs/open-run-store.ts";
import type { RunStore } from "../../src/workflows/run-store.ts";
import { builtRunStore } from "./build.ts";
import { atTestEnd, root } from "./gateway.ts";

type OpenRunStore = (options: RunStoreOptions) => RunStore;

/** The built `openRunStore`, whose thread is built too. */
export async function openRunStoreBuilt(): Promise<OpenRunStore> {
  const built = (await import(/* @vite-ignore */ builtRunStore)) as { openRunStore: OpenRunStore };
  return built.openRunStore;
}

/** Another process with a run store. */
export interface RunOwner {
  readonly child: ChildProcess;
  /** Calls a method of its store; rejects as that does. */
  call<T>(method: keyof RunStore, ...args: readonly unknown[]): Promise<T>;
  kill(): Promise<void>;
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly name: string; readonly message: string };
}

/** Starts one, which ends with the test at the latest. */
export function runOwner(options: Omit<RunStoreOptions, "onProblem">): RunOwner {
  const given = [builtRunStore, JSON.stringify(options)];
  const child = fork(join(root, "test/support/run-owner.mjs"), given, { execArgv: [] });
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  atTestEnd(kill);
  let lastId = 0;
  const waiting = new Map<number, (answer: Answer) => void>();
  child.on("message", (answer: Answer) => {
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  return {
    child,
    kill,
    async call<T>(method: keyof RunStore, ...args: readonly unknown[]): Promise<T> {
      const id = ++lastId;
      const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve));
      child.send({ id, method, args });
      const { value, error } = await answered;
      if (error !== undefined) throw Object.assign(new Error(error.message), { name: error.name });
      return value as T;
    },
  };
}
