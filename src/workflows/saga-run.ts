/*
 * One saga on its way: forward with a journal, and back again where a step fails. Everything that decides is
 * in the journal, so that another process goes on where this one stopped.
 */
import type { Effect as ToolEffect, Tool } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { callWithRetry, once, repeatable } from "./call-step.ts";
import { undoable } from "./check-tools.ts";
import { stepRetry, type StepRetry } from "./definition.ts";
import {
  happened,
  isUndoPath,
  type Conclusion,
  type Effect,
  type Intent,
  type Undo,
} from "./journal.ts";
import type { Node } from "./program.ts";
import {
  failureOf,
  isPastPivot,
  leaving,
  mayBePastPivot,
  openOf,
  wordOf,
  type Open,
  type SagaEnd,
  type SagaSurroundings,
  type Settlement,
} from "./saga.ts";
import { compensate, undoOf } from "./saga-undo.ts";
import { verified } from "./saga-verify.ts";
import { Halted, StepFailed, stepFailed, type StepError } from "./step-error.ts";
import { argumentsOf, outputStep, walk, type Task } from "./walk.ts";

const usual = stepRetry.parse({});

/** Drives a saga from where its journal ends. Rejects with Halted (`away`), or with what the journal's writer says. */
export const driveSaga = (around: SagaSurroundings): Promise<SagaEnd> =>
  new SagaRun(around).drive();

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
    if (decided !== undefined) return compensate(this.#around, decided["cause"] as StepError);
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
    return compensate(this.#around, cause);
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
      past === undefined || isOver
        ? wordOf(this.#around.journal, { path, at: past?.at ?? 0 })
        : undefined;
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
    const failed = failureOf(failure, path, tool.name, tool.effect);
    const { error } = failed;
    const isUnknown = failed.outcome === "unknown";
    // It is we who end it: the next process finds it as if we had been killed.
    if (isUnknown && isLeaving()) throw leaving();
    await conclude(failed);
    told(path, tool.name, isUnknown ? "unknown" : "failed", error);
    const effect = isUnknown ? journal.of(path) : undefined;
    if (effect !== undefined) return this.#doubt(task, tool, effect, error);
    throw new StepFailed(error);
  }

  /** Nobody knows whether it happened: finds out, does it again, undoes it all the same, or gives up. */
  async #doubt(task: Task, tool: Tool, effect: Effect, error: StepError): Promise<unknown> {
    if (this.#around.isLeaving()) throw leaving();
    const word = wordOf(this.#around.journal, effect);
    if (word !== undefined) return this.#settled(task, tool, effect, word, error, "person");
    switch (this.#modeOf(task, tool.effect)) {
      case "verify": {
        const found = await verified(this.#around, task, effect.intent);
        if (typeof found !== "string") return this.#settled(task, tool, effect, found, error);
        return this.#givenUp(effect, { ...error, message: `${error.message}; ${found}` });
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

  /** Writes down why nobody knows, for whoever is to find out. */
  async #givenUp({ path, intent }: Effect, error: StepError): Promise<never> {
    const conclude = await this.#around.journal.intend(path, intent);
    await conclude({ outcome: "unknown", error });
    throw new Halted("stuck", error.message);
  }

  #undoOf(task: Task, intent: Intent, result: unknown): Undo | undefined {
    return this.#undoable.has(task.node) ? undoOf(task, intent, result) : undefined;
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
    const word = wordOf(this.#around.journal, { path, at: 0 });
    return word?.didHappen === true ? word : undefined;
  };

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

/** Characters of JSON of a result that a run keeps. */
const mostCharacters = 4 * 1024 * 1024;

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
