/*
 * One chain on its way. It lives in memory: what must survive a crash is a saga.
 */
import type { JsonObject } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import { callWithRetry, repeatable, type Runner } from "./call-step.ts";
import { stepRetry } from "./definition.ts";
import type { Journal } from "./journal.ts";
import type { Program } from "./program.ts";
import type { StepPhase } from "./saga.ts";
import { StepFailed, stepFailed, type StepError } from "./step-error.ts";
import { evaluated, walk, type Task } from "./walk.ts";

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

const once = stepRetry.parse({ maxAttempts: 1 });

/** Resolves with the chain's output. Rejects with StepFailed. */
export function runChain(around: ChainSurroundings): Promise<unknown> {
  const { program, input, event, cancel, door, journal, told, id } = around;
  const perform = async ({ node, body, path, values, signal }: Task): Promise<unknown> => {
    if (signal.reason !== undefined) throw stepFailed(path, "cancelled", signal.reason.message);
    const { tool } = body;
    const key = `${id}.${path}`;
    const make = (): unknown => body.args.template.evaluate({ ...values, step: { key } });
    const args = evaluated(path, make) as JsonObject;
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
    const error = { ...failure, step: path, tool };
    // A read has done nothing, whatever became of it.
    const isUnknown = failure.outcome === "unknown" && effect !== "read";
    const outcome = failure.outcome === "unknown" && !isUnknown ? "failed" : failure.outcome;
    await conclude({ outcome, error });
    told(path, tool, isUnknown ? "unknown" : "failed", error);
    throw new StepFailed(error);
  };
  return walk(program, { input, event }, perform, cancel);
}
