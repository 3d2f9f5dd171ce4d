import type { Caller, JsonObject } from "../../src/call.ts";
import { Cancel } from "../../src/cancel.ts";
import { Runs, type RunRequest } from "../../src/workflows/runs.ts";
import type { RunKind } from "../../src/workflows/run-store.ts";
import { recorder } from "./calls.ts";
import { MemoryRunStore, type Fuse, type RunShelf } from "./memory-run-store.ts";
import { doorTo, programOf, type Scripted } from "./workflows.ts";

export const anna: Caller = { principal: "anna", session: "s", client: "test 1" };

export const request = (
  definition: JsonObject,
  over: Partial<RunRequest> = {},
  kind: RunKind = "saga",
): RunRequest => ({
  kind,
  name: "order",
  definition,
  version: "v1",
  program: programOf(definition, kind),
  input: {},
  event: null,
  caller: anna,
  trace: "0".repeat(32),
  ...over,
});

export const wait = (waitMs = 3_600_000, signal = new Cancel()) => ({ waitMs, signal });

/** A process with its runs. When its store dies, no call of its gets an answer any more. */
export function gatewayOn(
  shelf: RunShelf,
  tools: Record<string, Scripted>,
  fuse?: Fuse,
  listed: () => Promise<void> = () => Promise.resolve(),
) {
  const store = new MemoryRunStore(shelf, 30_000, fuse);
  const around = doorTo(tools);
  const { report, events } = recorder();
  const { call } = around.door;
  const runs = new Runs({
    store,
    door: {
      ...around.door,
      call: (...args) =>
        store.isDead
          ? new Promise(() => {})
          : call(...args).then((result) => (store.isDead ? new Promise(() => {}) : result)),
    },
    storeExists: () => true,
    listed,
    orphansEnded: () => Promise.resolve(),
    report,
    keepMs: 3_600_000,
    maxBytes: 1_000_000_000,
    maxRuns: 100,
  });
  return { ...around, store, runs, events };
}
