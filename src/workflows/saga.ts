/*
 * What the parts of a saga's run have in common.
 */
import type { CallFailure } from "../call-failure.ts";
import type { Effect as ToolEffect, JsonObject } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import type { Runner } from "./call-step.ts";
import { happened, type Conclusion, type Effect, type Journal } from "./journal.ts";
import type { Program } from "./program.ts";
import { Halted, type StepError } from "./step-error.ts";

/** A call that keeps a run from going on or from being undone. */
export interface Open {
  readonly step: string;
  readonly tool: string;
  readonly arguments: JsonObject;
  readonly key: string;
  readonly problem: string;
}

/** How a drive of a saga ended. */
export type SagaEnd =
  | { readonly state: "completed"; readonly output: unknown; readonly problem?: string }
  | { readonly state: "compensated"; readonly cause: StepError }
  | {
      readonly state: "stuck";
      /** A step of unknown outcome, a step after the pivot that fails, or compensations that fail. */
      readonly reason: "unknown" | "after_pivot" | "undo_failed";
      readonly cause?: StepError;
      readonly open: readonly Open[];
    };

/** What a saga's run stands on. */
export interface SagaSurroundings extends Runner {
  readonly id: string;
  readonly program: Program;
  readonly input: JsonObject;
  readonly event: unknown;
  readonly journal: Journal;
  /** Cancelled where the run is taken back. */
  readonly cancel: Cancel;
  /** Whether this process is about to end: nothing new is begun. */
  readonly isLeaving: () => boolean;
  /** Tells that the run is being undone from now on. */
  readonly compensating: () => Promise<void>;
  readonly told: (path: string, tool: string, phase: StepPhase, error?: StepError) => void;
}

/** What happens to a step of a run. */
export type StepPhase = "started" | "succeeded" | "failed" | "unknown" | "undone" | "undo_failed";

/** Whether the point of no return lies behind. */
export function isPastPivot(program: Program, journal: Journal): boolean {
  const effect = pivotOf(program, journal);
  return effect !== undefined && happened(effect);
}

/** Whether the point of no return may lie behind: it was begun, and nothing says that it failed. */
export function mayBePastPivot(program: Program, journal: Journal): boolean {
  const effect = pivotOf(program, journal);
  const { outcome } = effect?.conclusion ?? {};
  return effect !== undefined && outcome !== "failed" && outcome !== "answered";
}

function pivotOf({ steps }: Program, journal: Journal): Effect | undefined {
  const pivot = steps.find(({ step }) => step.pivot);
  return pivot && journal.of(pivot.id);
}

export const leaving = (): Halted => new Halted("away", "this process is leaving");

/** What is written of a call that failed. A read has done nothing, whatever became of it. */
export function failureOf(
  failure: CallFailure,
  step: string,
  tool: string,
  effect: ToolEffect,
): Pick<Required<Conclusion>, "outcome" | "error"> {
  const isHarmless = failure.outcome === "unknown" && effect === "read";
  const outcome = isHarmless ? "failed" : failure.outcome;
  return { outcome, error: { ...failure, step, tool } };
}

/** Whether a call happened, and what its result is then. */
export interface Settlement {
  readonly didHappen: boolean;
  readonly value: unknown;
}

/** What a person has said of a call. It counts for what was known then. */
export function wordOf(
  journal: Journal,
  { path, at }: Pick<Effect, "path" | "at">,
): Settlement | undefined {
  const note = journal.note(`note:resolve:${path}`);
  if (note?.["at"] !== at) return undefined;
  return { didHappen: note["happened"] === true, value: note["result"] ?? null };
}

export function openOf(effect: Effect | undefined, problem: string): Open | undefined {
  if (effect === undefined) return undefined;
  const { path: step, conclusion } = effect;
  const { tool, arguments: args, key } = effect.intent;
  return { step, tool, arguments: args, key, problem: conclusion?.error?.message ?? problem };
}
