/*
 * One saga on its way: forward with a journal, and back again where a step fails. Everything that decides is
 * in the journal, so that another process goes on where this one stopped.
 */
import type { CallFailure } from "../call-failure.ts";
import type { Effect as ToolEffect, JsonObject, Tool } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { messageOf } from "../errors.ts";
import { pause } from "../wait.ts";
import {
  callOnce,
  callWithRetry,
  repeatable,
  type Between,
  type Called,
  type Runner,
} from "./call-step.ts";
import { undoable } from "./check-tools.ts";
import { stepRetry, type StepRetry } from "./definition.ts";
import {
  happened,
  isUndoPath,
  toUndo,
  undoPath,
  type Conclusion,
  type Effect,
  type Intent,
  type Journal,
  type Undo,
} from "./journal.ts";
import type { Node, Program } from "./program.ts";
import { Halted, StepFailed, stepFailed, type StepError } from "./step-error.ts";
import { evaluated, outputStep, walk, type Task } from "./walk.ts";

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

const once = stepRetry.parse({ maxAttempts: 1 });
const usual = stepRetry.parse({});

/** Drives a saga from where its journal ends. Rejects with Halted (`away`), or with what the journal's writer says. */
export const driveSaga = (around: SagaSurroundings): Promise<SagaEnd> =>
  new SagaRun(around).drive();

/** Whether the point of no return lies behind. */
function isPastPivot(program: Program, journal: Journal): boolean {
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

class SagaRun {
  readonly #around: SagaSurroundings;
  readonly #undoable: ReadonlySet<Node>;
  /** How often a step was begun of which it was found out that it had not happened. */
  readonly #repeats = new Map<string, number>();
  /** Cancelled where the run is taken back while there is a way back. */
  readonly #stop = new Cancel();

  constructor(around: SagaSurroundings) {
    this.#around = around;
    this.#undoable = undoable(around.program);
    const { program, journal, cancel } = around;
    cancel.subscribe((reason) => {
      if (!mayBePastPivot(program, journal)) this.#stop.cancel(reason);
    });
  }

  async drive(): Promise<SagaEnd> {
    const { journal, program, input, event, compensating } = this.#around;
    const decided = journal.note("note:undo");
    if (decided !== undefined) return this.#compensate(decided["cause"] as StepError);
    let cause: StepError;
    try {
      const output = await walk(
        program,
        { input, event },
        this.#perform,
        this.#stop,
        this.#settledStep,
      );
      return { state: "completed", output };
    } catch (thrown) {
      if (thrown instanceof Halted && thrown.why !== "cancelled") {
        if (thrown.why === "away") throw thrown;
        return { state: "stuck", reason: "unknown", open: this.#unknown() };
      }
      cause = causeOf(thrown);
    }
    // All steps are done; only the answer cannot be made.
    if (cause.step === outputStep)
      return { state: "completed", output: null, problem: cause.message };
    if (isPastPivot(program, journal))
      return { state: "stuck", reason: "after_pivot", cause, open: this.#failed(cause) };
    const open = this.#unknown();
    if (open.length > 0) return { state: "stuck", reason: "unknown", cause, open };
    await journal.writeNote("note:undo", { cause });
    await compensating();
    return this.#compensate(cause);
  }

  readonly #perform = async (task: Task): Promise<unknown> => {
    const { journal, id, isLeaving, door } = this.#around;
    const { path, body, node } = task;
    const past = journal.of(path);
    const { conclusion } = past ?? {};
    if (past !== undefined && happened(past)) {
      if (conclusion?.error !== undefined) throw new StepFailed(conclusion.error);
      return conclusion?.value;
    }
    const isLate = this.#isLate(node);
    const isOver = conclusion?.outcome === "failed" || conclusion?.outcome === "answered";
    const key = `${id}.${path}`;
    const word =
      past === undefined || isOver ? this.#wordOf({ path, at: past?.at ?? 0 }) : undefined;
    if (word?.didHappen === true) {
      const { tool } = body;
      const none = { tool, arguments: {}, key, effect: "write" } as const;
      return this.#believed(task, past?.intent ?? none, word.value);
    }
    if (conclusion?.error !== undefined && (conclusion.assumed || (isOver && !isLate)))
      throw new StepFailed(conclusion.error);
    if (isLeaving()) throw leaving();
    const found = door.find(body.tool);
    const tool = found !== undefined && "refused" in found ? undefined : found;
    const isRead = past?.intent.effect === "read" && (tool?.effect ?? "read") === "read";
    const isKnown = conclusion !== undefined && conclusion.outcome !== "unknown";
    const inDoubt = past !== undefined && !isKnown && !isRead;
    // What may have happened is settled even where the step is not wanted any more: it may have to be undone.
    const unwanted = this.#unwanted(task);
    if (!inDoubt && unwanted !== undefined) throw unwanted;
    if (tool === undefined) {
      const problem = `there is no tool "${body.tool}" now`;
      throw inDoubt ? new Halted("stuck", problem) : stepFailed(path, "unavailable", problem);
    }
    if (inDoubt)
      return this.#doubt(task, tool, past, conclusion?.error ?? interrupted(path, body.tool));
    const { effect } = tool;
    const intent = past?.intent ?? {
      tool: body.tool,
      arguments: argumentsOf(task, key),
      key,
      effect,
    };
    return this.#attempt(task, tool, intent);
  };

  /** Throws where a step is not to be begun. */
  #mayGoOn(task: Task): void {
    if (this.#around.isLeaving()) throw leaving();
    const unwanted = this.#unwanted(task);
    if (unwanted !== undefined) throw unwanted;
  }

  /** Why a step is not to be done any more: the run is taken back, or another step has failed. */
  #unwanted({ path, signal }: Task): Halted | StepFailed | undefined {
    const { reason } = this.#stop;
    if (reason !== undefined) return new Halted("cancelled", reason.message);
    if (signal.reason !== undefined) return stepFailed(path, "cancelled", signal.reason.message);
    return undefined;
  }

  /** Writes down what is to be done, does it, and writes down what came of it. */
  async #attempt(task: Task, tool: Tool, intent: Intent): Promise<unknown> {
    const { journal, told, isLeaving } = this.#around;
    const { path, node, signal } = task;
    let conclude = await journal.intend(path, intent);
    // While it was written, the run may have been taken back, or another step have failed.
    const unwanted = this.#unwanted(task);
    if (unwanted !== undefined) {
      const { error } = stepFailed(path, "cancelled", unwanted.message);
      await conclude({ outcome: "failed", error });
      throw unwanted;
    }
    told(path, tool.name, "started");
    const called = await callWithRetry(
      this.#around,
      {
        tool: tool.name,
        args: intent.arguments,
        key: intent.key,
        timeoutMs: node.step.timeoutMs,
        // What is under way and changes something is let finish: cut short, nobody would know what it did.
        signal: tool.effect === "read" ? signal : new Cancel(),
      },
      this.#retryOf(node),
      repeatable(tool.effect),
      {
        failed: async (failure) =>
          void (await conclude(failureOf(failure, path, tool.name, tool.effect))),
        again: async () => {
          this.#mayGoOn(task);
          // While it waited, another process may have taken the run over.
          conclude = await journal.intend(path, intent);
        },
      },
    );
    if ("value" in called) return this.#happened(task, intent, conclude, "ok", called.value);
    const { failure } = called;
    if (failure.outcome === "done") return this.#happened(task, intent, conclude, "done", null);
    const error = { ...failure, step: path, tool: tool.name };
    if (failure.outcome === "unknown" && tool.effect !== "read") {
      // It is we who end it: the next process finds it as if we had been killed.
      if (isLeaving()) throw leaving();
      await conclude({ outcome: "unknown", error });
      const effect = journal.of(path);
      told(path, tool.name, "unknown", error);
      if (effect !== undefined) return this.#doubt(task, tool, effect, error);
    }
    await conclude({ outcome: failure.outcome === "answered" ? "answered" : "failed", error });
    told(path, tool.name, "failed", error);
    throw new StepFailed(error);
  }

  /** Nobody knows whether it happened: finds out, does it again, undoes it all the same, or gives up. */
  async #doubt(task: Task, tool: Tool, effect: Effect, error: StepError): Promise<unknown> {
    if (this.#around.isLeaving()) throw leaving();
    const word = this.#wordOf(effect);
    if (word !== undefined) return this.#settled(task, tool, effect, word, error, "person");
    switch (this.#modeOf(task, tool.effect)) {
      case "verify": {
        const found = await this.#verified(task, effect.intent);
        if (found === undefined) break;
        return this.#settled(task, tool, effect, found, error);
      }
      case "retry":
        return this.#again(task, tool, effect);
      case "compensate": {
        const conclude = await this.#around.journal.intend(effect.path, effect.intent);
        const undo = this.#undoOf(task, effect.intent, null);
        await conclude({ outcome: "unknown", assumed: true, error, ...(undo && { undo }) });
        throw new StepFailed(error);
      }
      case "stop":
    }
    throw new Halted("stuck", error.message);
  }

  /** An idempotent call is made once more: only its success says what was done. */
  async #again(task: Task, tool: Tool, { path, intent }: Effect): Promise<unknown> {
    const { journal, told } = this.#around;
    let conclude = await journal.intend(path, intent);
    const called = await callWithRetry(
      this.#around,
      {
        tool: tool.name,
        args: intent.arguments,
        key: intent.key,
        timeoutMs: task.node.step.timeoutMs,
        signal: new Cancel(),
      },
      task.node.step.retry ?? usual,
      ({ outcome }) => outcome !== "done",
      {
        failed: async (failure) =>
          void (await conclude(
            failureOf({ ...failure, outcome: "unknown" }, path, tool.name, tool.effect),
          )),
        again: async () => {
          if (this.#around.isLeaving()) throw leaving();
          conclude = await journal.intend(path, intent);
        },
      },
    );
    if ("value" in called) return this.#happened(task, intent, conclude, "ok", called.value);
    if (called.failure.outcome === "done")
      return this.#happened(task, intent, conclude, "done", null);
    const error = { ...called.failure, outcome: "unknown" as const, step: path, tool: tool.name };
    await conclude({ outcome: "unknown", error });
    told(path, tool.name, "unknown", error);
    throw new Halted("stuck", error.message);
  }

  /** Goes on with what a person has said of a call that nobody knew to have happened. */
  async #believed(task: Task, intent: Intent, value: unknown): Promise<unknown> {
    const conclude = await this.#around.journal.intend(task.path, intent);
    const settled = { settledBy: "person" } as const;
    return this.#happened(task, intent, (some) => conclude({ ...some, ...settled }), "done", value);
  }

  /** Goes on, now that it is known whether it happened. */
  async #settled(
    task: Task,
    tool: Tool,
    { path, intent, conclusion }: Effect,
    { didHappen, value }: Settlement,
    error: StepError,
    settledBy?: "person",
  ): Promise<unknown> {
    const { journal, told } = this.#around;
    const by = settledBy !== undefined && { settledBy };
    if (didHappen && settledBy !== undefined) return this.#believed(task, intent, value);
    if (didHappen)
      return this.#happened(task, intent, await journal.intend(path, intent), "done", value);
    // An attempt that ended with its process does not count.
    const isInterrupted = conclusion === undefined && settledBy === undefined;
    const repeats = this.#repeats.get(path) ?? (isInterrupted ? 0 : 1);
    const unwanted = this.#unwanted(task);
    if (unwanted === undefined && repeats < this.#retryOf(task.node).maxAttempts) {
      this.#repeats.set(path, repeats + 1);
      return this.#attempt(task, tool, intent);
    }
    const conclude = await journal.intend(path, intent);
    const undone: StepError = { ...error, outcome: "failed" };
    await conclude({ outcome: "failed", error: undone, ...by });
    told(path, tool.name, "failed", undone);
    throw new StepFailed(undone);
  }

  async #happened(
    task: Task,
    intent: Intent,
    conclude: (conclusion: Omit<Conclusion, "seq">) => Promise<unknown>,
    outcome: "ok" | "done",
    value: unknown,
  ): Promise<unknown> {
    const { path, node } = task;
    const undo = this.#undoOf(task, intent, value);
    const { length } = JSON.stringify(value ?? null);
    if (length <= mostCharacters) {
      await conclude({ outcome, value: value ?? null, ...(undo && { undo }) });
      this.#around.told(path, intent.tool, "succeeded");
      return value ?? null;
    }
    const error: StepError = {
      step: path,
      tool: intent.tool,
      code: "too_large",
      outcome: "done",
      message: `it was done, but its result of ${length} characters is more than a run can keep (${mostCharacters})`,
      isTransient: false,
    };
    // Where there is no way back, it goes on without.
    const isFatal = !this.#isLate(node) && !node.step.pivot;
    await conclude({
      outcome: "done",
      value: null,
      ...(undo && { undo }),
      ...(isFatal && { error }),
    });
    this.#around.told(path, intent.tool, isFatal ? "failed" : "succeeded", error);
    if (isFatal) throw new StepFailed(error);
    return null;
  }

  /** What a tool that reads says about whether a step happened; undefined where it cannot tell. */
  async #verified({ body, values }: Task, intent: Intent): Promise<Settlement | undefined> {
    const { verify } = body;
    if (verify === undefined) return undefined;
    const scope = {
      ...values,
      step: { key: intent.key },
      arguments: intent.arguments,
      result: null,
    };
    const args = attempted(() => verify.args.template.evaluate(scope));
    if (args === undefined) return undefined;
    for (let attempt = 1; attempt <= verify.attempts; attempt++) {
      // oxlint-disable no-await-in-loop -- one question after the other
      const wait = attempt === 1 ? verify.delayMs : Math.max(verify.delayMs, betweenQuestions);
      if (wait > 0) await pause({ signal: new Cancel() }, wait);
      const called = await this.#ask(verify.tool, args as JsonObject);
      // oxlint-enable no-await-in-loop
      if (!("value" in called)) continue;
      const answer = { ...scope, result: called.value };
      const didHappen = attempted(() => verify.happened.expression.evaluate(answer));
      // An answer that says nothing; the next one may.
      if (typeof didHappen !== "boolean") continue;
      const value = attempted(() => verify.result?.template.evaluate(answer) ?? null);
      if (!didHappen || value !== undefined) return { didHappen, value };
    }
    return undefined;
  }

  async #ask(tool: string, args: JsonObject): Promise<Called> {
    return callOnce(this.#around, {
      tool,
      args,
      timeoutMs: undefined,
      signal: new Cancel(),
      fresh: true,
    });
  }

  /** Undoes all that has happened, the last first. What fails does not keep the rest from being undone. */
  async #compensate(cause: StepError): Promise<SagaEnd> {
    const { journal, isLeaving } = this.#around;
    for (const effect of toUndo(journal)) {
      if (isLeaving()) throw leaving();
      // oxlint-disable-next-line no-await-in-loop -- one after the other, in reverse order
      if (effect.conclusion?.undo !== undefined) await this.#undo(effect, effect.conclusion.undo);
    }
    const left = toUndo(journal);
    if (left.length === 0) return { state: "compensated", cause };
    const open = left.map(({ path }) => openOf(journal.of(undoPath(path)), "it is not undone"));
    return { state: "stuck", reason: "undo_failed", cause, open: open.flatMap((one) => one ?? []) };
  }

  async #undo({ path, intent: { key } }: Effect, undo: Undo): Promise<void> {
    const { journal, told, isLeaving } = this.#around;
    const here = undoPath(path);
    const past = journal.of(here);
    const word = past && this.#wordOf(past);
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
      undo.problem === undefined ? await this.#callUndo(undo, intent, between) : broken(undo);
    if ("value" in called || called.failure.outcome === "done") {
      await conclude({ outcome: "ok" });
      return told(path, undo.tool, "undone");
    }
    const error = { ...called.failure, step: here, tool: undo.tool };
    await conclude({ outcome: called.failure.outcome, error });
    told(path, undo.tool, "undo_failed", error);
  }

  /** A compensation is done at least once: whatever became of an attempt, another may follow. */
  #callUndo(
    { retry, timeoutMs }: Undo,
    { tool, arguments: args, key }: Intent,
    between: Between,
  ): Promise<Called> {
    const call = { tool, args, key, timeoutMs, signal: new Cancel() };
    return callWithRetry(
      this.#around,
      call,
      retry,
      ({ code, outcome }) => code !== "denied" && outcome !== "done",
      between,
    );
  }

  #undoOf({ node, body, values }: Task, intent: Intent, result: unknown): Undo | undefined {
    const { undo } = body;
    if (undo === undefined || undo === false || !this.#undoable.has(node)) return undefined;
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

  #modeOf({ node, body }: Task, effect: ToolEffect): "verify" | "retry" | "compensate" | "stop" {
    const { onUnknown, pivot } = node.step;
    const mode =
      onUnknown ??
      (body.verify !== undefined ? "verify" : effect === "idempotent" && !pivot ? "retry" : "stop");
    return mode === "compensate" && !this.#undoable.has(node) ? "stop" : mode;
  }

  #retryOf(node: Node): StepRetry {
    return node.step.retry ?? (this.#isLate(node) ? usual : once);
  }

  /** Whether a step stands after the pivot: there is no way back, so it is tried until it succeeds. */
  #isLate(node: Node): boolean {
    return !node.step.pivot && !this.#undoable.has(node);
  }

  /** What a person has said of a step that fails before it calls anything, such as by its `when`. */
  readonly #settledStep = (path: string): { readonly value: unknown } | undefined => {
    const word = this.#wordOf({ path, at: 0 });
    return word?.didHappen === true ? word : undefined;
  };

  /** What a person has said of a call. It counts for what was known then. */
  #wordOf({ path, at }: Pick<Effect, "path" | "at">): Settlement | undefined {
    const note = this.#around.journal.note(`note:resolve:${path}`);
    if (note?.["at"] !== at) return undefined;
    return { didHappen: note["happened"] === true, value: note["result"] ?? null };
  }

  #unknown(): Open[] {
    return this.#around.journal.effects.flatMap((effect) => {
      const { conclusion, path } = effect;
      const isUnknown = conclusion === undefined || conclusion.outcome === "unknown";
      const isHarmless = conclusion?.assumed === true || effect.intent.effect === "read";
      if (isUndoPath(path) || !isUnknown || isHarmless) return [];
      return openOf(effect, "the process ended while it was under way") ?? [];
    });
  }

  #failed({ step, message }: StepError): Open[] {
    const effect = this.#around.journal.of(step);
    return [
      openOf(effect, message) ?? { step, tool: "", arguments: {}, key: "", problem: message },
    ];
  }
}

const leaving = (): Halted => new Halted("away", "this process is leaving");

/** What is written of a call that failed. A read has done nothing, whatever became of it. */
function failureOf(
  failure: CallFailure,
  step: string,
  tool: string,
  effect: ToolEffect,
): Omit<Conclusion, "seq"> {
  const isUnknown = failure.outcome === "unknown" && effect !== "read";
  const outcome = failure.outcome === "answered" ? "answered" : isUnknown ? "unknown" : "failed";
  return { outcome, error: { ...failure, step, tool } };
}

/** Whether a call happened, and what its result is then. */
interface Settlement {
  readonly didHappen: boolean;
  readonly value: unknown;
}

/** Characters of JSON of a result that a run keeps. */
const mostCharacters = 4 * 1024 * 1024;

/** Milliseconds between two questions whether a step happened. */
const betweenQuestions = 1000;

function causeOf(thrown: unknown): StepError {
  if (thrown instanceof StepFailed) return thrown.error;
  if (!(thrown instanceof Halted)) throw thrown;
  const { message } = thrown;
  return { step: "", code: "cancelled", outcome: "failed", message, isTransient: false };
}

const interrupted = (step: string, tool: string): StepError => ({
  step,
  tool,
  code: "connection_lost",
  outcome: "unknown",
  message: "the process ended while it was under way",
  isTransient: false,
});

const broken = ({ problem = "" }: Undo): { readonly failure: CallFailure } => ({
  failure: { code: "denied", outcome: "failed", message: problem, isTransient: false },
});

function openOf(effect: Effect | undefined, problem: string): Open | undefined {
  if (effect === undefined) return undefined;
  const { path: step, conclusion } = effect;
  const { tool, arguments: args, key } = effect.intent;
  return { step, tool, arguments: args, key, problem: conclusion?.error?.message ?? problem };
}

/** What an expression gives; undefined where it cannot be evaluated. */
function attempted(evaluate: () => unknown): unknown {
  try {
    return evaluate();
  } catch {
    return undefined;
  }
}

function argumentsOf({ body, values, path }: Task, key: string): JsonObject {
  return evaluated(path, () =>
    body.args.template.evaluate({ ...values, step: { key } }),
  ) as JsonObject;
}
