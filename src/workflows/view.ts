/*
 * A run as its caller sees it.
 */
import type { JsonObject } from "../call.ts";
import { happened, isUndoPath, undoPath, type Effect, type Journal } from "./journal.ts";
import type { RunKind, RunState } from "./run-store.ts";

/** What every view of a run says. */
export interface RunHead {
  readonly id: string;
  readonly name: string;
  readonly kind: RunKind;
  /** Hash of the definition. */
  readonly version: string;
  readonly state: RunState;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly trace: string;
  /** What it came to: output, cause, open. */
  readonly outcome?: JsonObject;
}

/** Characters of JSON of a step's result that a view shows. */
const longestResult = 4000;
/** Steps that a view shows; of more the last ones. */
const mostSteps = 500;

/** The head alone, as lists show it. */
export function headOf(run: RunHead): JsonObject {
  const { id, name, kind, version, state, trace, startedAt, endedAt, outcome } = run;
  const { cause, reason } = (outcome ?? {}) as { cause?: { message?: unknown }; reason?: unknown };
  return {
    id,
    name,
    kind,
    version,
    state,
    startedAt: new Date(startedAt).toISOString(),
    ...(endedAt !== undefined && { endedAt: new Date(endedAt).toISOString() }),
    trace,
    ...(reason !== undefined && { reason }),
    ...(cause?.message !== undefined && { error: cause.message }),
  };
}

/** A run with its steps. */
export function viewOf(head: RunHead, journal: Journal): JsonObject {
  const effects = journal.effects.filter(({ path }) => !isUndoPath(path));
  const { error: _, ...rest } = headOf(head);
  const { output, cause, open, problem, missing } = head.outcome ?? {};
  return {
    ...rest,
    steps: effects.slice(-mostSteps).map((effect) => stepOf(effect, journal, head.state)),
    ...(output !== undefined && { output }),
    ...(cause !== undefined && { error: cause }),
    ...(problem !== undefined && { problem }),
    ...(missing !== undefined && { missing }),
    ...(Array.isArray(open) && open.length > 0 && { open }),
  };
}

function stepOf(effect: Effect, journal: Journal, run: RunState): JsonObject {
  const { path, intent, conclusion } = effect;
  const undone = journal.of(undoPath(path));
  const text = happened(effect) ? JSON.stringify(conclusion?.value ?? null) : "";
  return {
    step: path,
    tool: intent.tool,
    effect: intent.effect,
    ...(conclusion?.undo !== undefined && { undo: conclusion.undo.tool }),
    state: stateOf(effect, undone, run),
    ...(conclusion?.error !== undefined && { error: conclusion.error.message }),
    ...(undone?.conclusion?.error !== undefined && {
      undoError: undone.conclusion.error.message,
    }),
    ...(happened(effect) && text.length <= longestResult && { result: conclusion?.value ?? null }),
    ...(text.length > longestResult && { resultCharacters: text.length }),
  };
}

function stateOf(effect: Effect, undone: Effect | undefined, run: RunState): string {
  if (undone?.conclusion !== undefined) return happened(undone) ? "undone" : "undo_failed";
  if (undone !== undefined && run === "compensating") return "undoing";
  const { conclusion } = effect;
  if (conclusion === undefined) return run === "running" ? "running" : "unknown";
  if (happened(effect)) return "done";
  return conclusion.outcome === "unknown" ? "unknown" : "failed";
}
