/*
 * The way back: undoes what a saga has done.
 */
import type { CallFailure } from "../call-failure.ts";
import type { JsonObject } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { messageOf } from "../errors.ts";
import { callWithRetry, type Between, type Called } from "./call-step.ts";
import { toUndo, undoPath, type Effect, type Intent, type Undo } from "./journal.ts";
import { failureOf, leaving, openOf, wordOf, type SagaEnd, type SagaSurroundings } from "./saga.ts";
import type { StepError } from "./step-error.ts";
import type { Task } from "./walk.ts";

/** Undoes all that has happened, the last first. What fails does not keep the rest from being undone. */
export async function compensate(around: SagaSurroundings, cause: StepError): Promise<SagaEnd> {
  const { journal, isLeaving } = around;
  for (const effect of toUndo(journal)) {
    if (isLeaving()) throw leaving();
    const undo = effect.conclusion?.undo;
    // oxlint-disable-next-line no-await-in-loop -- one after the other, in reverse order
    if (undo !== undefined) await undoOne(around, effect, undo);
  }
  const left = toUndo(journal);
  if (left.length === 0) return { state: "compensated", cause };
  const open = left.map(({ path }) => openOf(journal.of(undoPath(path)), "it is not undone"));
  return { state: "stuck", reason: "undo_failed", cause, open: open.flatMap((one) => one ?? []) };
}

async function undoOne(
  around: SagaSurroundings,
  { path, intent: { key } }: Effect,
  undo: Undo,
): Promise<void> {
  const { journal, told, isLeaving } = around;
  const here = undoPath(path);
  const past = journal.of(here);
  const word = past && wordOf(journal, past);
  const intent: Intent = {
    tool: undo.tool,
    arguments: undo.arguments,
    key: `${key}.undo`,
    effect: "idempotent",
  };
  let conclude = await journal.intend(here, intent);
  const between: Between = {
    failed: async (failure) =>
      void (await conclude(failureOf(failure, here, undo.tool, intent.effect))),
    again: async () => {
      if (isLeaving()) throw leaving();
      conclude = await journal.intend(here, intent);
    },
  };
  if (word?.didHappen === true) {
    await conclude({ outcome: "done", settledBy: "person" });
    return told(path, undo.tool, "undone");
  }
  const called =
    undo.problem === undefined ? await callUndo(around, undo, intent, between) : broken(undo);
  if ("value" in called || called.failure.outcome === "done") {
    await conclude({ outcome: "ok" });
    return told(path, undo.tool, "undone");
  }
  const failed = failureOf(called.failure, here, undo.tool, intent.effect);
  await conclude(failed);
  told(path, undo.tool, "undo_failed", failed.error);
}

/** A compensation is done at least once: whatever became of an attempt, another may follow. */
function callUndo(
  around: SagaSurroundings,
  { retry, timeoutMs }: Undo,
  { tool, arguments: args, key }: Intent,
  between: Between,
): Promise<Called> {
  const call = { tool, args, key, timeoutMs, signal: new Cancel() };
  return callWithRetry(
    around,
    call,
    retry,
    ({ code, outcome }) => code !== "denied" && outcome !== "done",
    between,
  );
}

/** How a step that has happened is to be undone; undefined where nothing is. */
export function undoOf({ body, values }: Task, intent: Intent, result: unknown): Undo | undefined {
  const { undo } = body;
  if (undo === undefined || undo === false) return undefined;
  const { tool, retry, timeoutMs } = undo;
  const step = { key: `${intent.key}.undo` };
  const whole = { tool, retry, ...(timeoutMs !== undefined && { timeoutMs }) };
  try {
    const args = undo.args.template.evaluate({
      ...values,
      step,
      arguments: intent.arguments,
      result,
    });
    return { ...whole, arguments: args as JsonObject };
  } catch (error) {
    return { ...whole, arguments: {}, problem: messageOf(error) };
  }
}

const broken = ({ problem = "" }: Undo): { readonly failure: CallFailure } => ({
  failure: { code: "denied", outcome: "failed", message: problem, isTransient: false },
});
