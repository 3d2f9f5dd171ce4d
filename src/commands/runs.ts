import type { Caller, JsonObject } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError, messageOf } from "../errors.ts";
import { Journal } from "../workflows/journal.ts";
import type { RunStore } from "../workflows/run-store.ts";
import type { Runs } from "../workflows/runs.ts";
import { headOf, viewOf } from "../workflows/view.ts";
import { unknownName } from "./nearest.ts";
import { openFor, openRuns, readConfig } from "./open.ts";
import { UsageError, type Output } from "./output.ts";
import { listLines, viewLines } from "./run-view.ts";

/** What a person says of a call whose outcome nobody knows. */
export interface Word {
  readonly happened: boolean;
  /** Default: the only open one. */
  readonly step?: string | undefined;
  /** As JSON. */
  readonly result?: string | undefined;
}

/** The person at the machine, who may do what any principal may with its own runs. */
const callerFor = (principal: string): Caller => ({
  principal,
  session: "cli",
  client: "holdfast runs",
});
const longestWait = 86_400_000;
const mostListed = 1000;

/** `holdfast runs`: the runs of sagas that the store has, the newest first. Starts no server. */
export async function listRuns(file: string | undefined, output: Output): Promise<number> {
  const runs = await looking(file, async (store) => {
    const stored = await store?.list({ limit: mostListed });
    return (stored ?? []).map((run) => ({ ...headOf(run), principal: run.caller.principal }));
  });
  if (output.json) output.line(JSON.stringify({ runs }));
  else for (const line of listLines(runs)) output.line(line);
  return 0;
}

/** `holdfast runs ID`: a run with its steps. Starts no server. */
export async function showRun(
  file: string | undefined,
  id: string,
  output: Output,
): Promise<number> {
  print(await looking(file, (store) => viewIn(store, id)), output);
  return 0;
}

/** `holdfast runs cancel ID`: has a saga undone, whoever drives it. 1 where it could not be, else 0. */
export const cancelRun = (file: string | undefined, id: string, output: Output): Promise<number> =>
  commanding(file, id, output, (runs, caller, wait) => runs.cancel(id, caller, wait));

/** `holdfast runs resume ID`: lets a stuck saga try again. 1 where it is stuck after that, else 0. */
export const resumeRun = (file: string | undefined, id: string, output: Output): Promise<number> =>
  commanding(file, id, output, (runs, caller, wait) => runs.resume(id, caller, wait));

/** `holdfast runs resolve ID`: tells a stuck saga what happened. 1 where it is stuck after that, else 0. */
export function resolveRun(
  file: string | undefined,
  id: string,
  { happened, step, result }: Word,
  output: Output,
): Promise<number> {
  const word = { happened, step, result: result === undefined ? undefined : jsonOf(result) };
  return commanding(file, id, output, (runs, caller, wait) => runs.resolve(id, word, caller, wait));
}

/** Has a run do something, and waits for its end. It goes on here where nobody else drives it. */
async function commanding(
  file: string | undefined,
  id: string,
  output: Output,
  command: (
    runs: Runs,
    caller: Caller,
    wait: { waitMs: number; signal: Cancel },
  ) => Promise<JsonObject | undefined>,
): Promise<number> {
  const { principal } = await looking(file, (store) => viewIn(store, id));
  const caller = callerFor(String(principal));
  try {
    // A signal ends the command, not the run.
    const view = await openFor(file, ({ holdfast: { runs } }) =>
      command(runs, caller, { waitMs: longestWait, signal: new Cancel() }),
    );
    if (view === undefined) throw unknownName("run", id, []);
    print({ ...view, principal }, output);
    return view["state"] === "stuck" ? 1 : 0;
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    output.line(output.json ? JSON.stringify({ error: error.message }) : error.message);
    return 1;
  }
}

/** Looks at the store, where there is one. */
async function looking<T>(
  file: string | undefined,
  look: (store: RunStore | undefined) => Promise<T>,
): Promise<T> {
  const store = openRuns(await readConfig(file));
  try {
    return await look(store);
  } finally {
    await store?.close();
  }
}

/** Rejects with a UsageError where there is no such run. */
async function viewIn(store: RunStore | undefined, id: string): Promise<JsonObject> {
  const run = await store?.get(id);
  if (store !== undefined && run !== undefined) {
    const view = viewOf(run, new Journal(await store.journal(id)));
    return { ...view, principal: run.caller.principal };
  }
  if (id.startsWith("chain-"))
    throw new UsageError(`a chain is known only to the Holdfast that runs it; got ${id}`);
  const runs = await store?.list({ limit: mostListed });
  throw unknownName("run", id, runs?.map((one) => one.id) ?? []);
}

function print(view: JsonObject, output: Output): void {
  if (output.json) output.line(JSON.stringify(view));
  else for (const line of viewLines(view)) output.line(line);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`expected --result as JSON: ${messageOf(error)}`);
  }
}
