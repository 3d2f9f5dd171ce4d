/*
 * One chain on its way. It lives in memory: what must survive a crash is a saga.
 */
import type { JsonObject } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import { callWithRetry, once, repeatable, type Runner } from "./call-step.ts";
import type { Journal } from "./journal.ts";
import type { Program } from "./program.ts";
import { failureOf, type StepPhase } from "./saga.ts";
import { StepFailed, stepFailed, type StepError } from "./step-error.ts";
import { argumentsOf, walk, type Task } from "./walk.ts";

export interface ChainSurroundings extends Runner {
  readonly id: string;
  readonly program: Program;
  readonly input: JsonObject;
  readonly event: unknown;
  /** Without a writer. */
  readonly journal: Journal;
  readonly cancel: Cancel;
  readonly told: (path: string, tool: string, phase: StepPhase, error?: StepError) => void;
}

/** Resolves with the chain's output. Rejects with StepFailed. */
export function runChain(around: ChainSurroundings): Promise<unknown> {
  const { program, input, event, cancel, door, journal, told, id } = around;
  const perform = async (task: Task): Promise<unknown> => {
    const { node, body, path, signal } = task;
    if (signal.reason !== undefined) throw stepFailed(path, "cancelled", signal.reason.message);
    const { tool } = body;
    const key = `${id}.${path}`;
    const args = argumentsOf(task, key);
    const found = door.find(tool);
    const effect = found === undefined || "refused" in found ? "write" : found.effect;
    // Nobody asks for the arguments of a chain, and they may be large.
    const conclude = await journal.intend(path, { tool, arguments: {}, key, effect });
    told(path, tool, "started");
    const { retry = once, timeoutMs } = node.step;
    const called = await callWithRetry(
      around,
      { tool, args, key, timeoutMs, signal },
      retry,
      repeatable(effect),
    );
    if ("value" in called) {
      await conclude({ outcome: "ok", value: called.value });
      told(path, tool, "succeeded");
      return called.value;
    }
    const { failure } = called;
    const failed = failureOf(failure, path, tool, effect);
    await conclude(failed);
    told(path, tool, failed.outcome === "unknown" ? "unknown" : "failed", failed.error);
    throw new StepFailed(failed.error);
  };
  return walk(program, { input, event }, perform, cancel);
}
