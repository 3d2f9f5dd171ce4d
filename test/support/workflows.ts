import type { Effect, JsonObject, Result, Tool } from "../../src/call.ts";
import { CallError } from "../../src/errors.ts";
import type { Door, DoorRequest } from "../../src/workflows/call-step.ts";
import { parseDefinition } from "../../src/workflows/parse.ts";
import type { Program } from "../../src/workflows/program.ts";
import type { RunKind } from "../../src/workflows/run-store.ts";
import { linesOf } from "../../src/workflows/plan.ts";
import { tool } from "./calls.ts";

/** A call of a tool that a workflow has made. */
export interface Made {
  readonly tool: string;
  readonly args: JsonObject;
  readonly key: unknown;
  /** In the time of `performance.now()`. */
  readonly at: number;
  readonly request: DoorRequest;
}

/** What a tool answers: a value, a Result under `result`, an error, or nothing yet. */
export type Answer = (args: JsonObject, made: Made, nth: number) => unknown;

export interface Scripted {
  readonly effect?: Effect;
  readonly definition?: JsonObject;
  readonly answer?: Answer;
}

/** The result of a tool that has a value to give. */
export const valued = (value: unknown): Result => ({
  content: [{ type: "text", text: JSON.stringify(value) ?? "" }],
  structuredContent: value,
});

/** A tool's own no. */
export const no = (text: string): Result => ({ isError: true, content: [{ type: "text", text }] });

export const lost = (): CallError =>
  new CallError("connection_lost", "gone", { outcome: "unknown" });

export const refused = (): CallError =>
  new CallError("circuit_open", "not now", { outcome: "failed", local: true });

const isResult = (value: unknown): value is Result =>
  typeof value === "object" && value !== null && "content" in value;

/** A way to tools that do as they are told, and remember it. */
export function doorTo(tools: Record<string, Scripted>) {
  const made: Made[] = [];
  const toolOf = (name: string): Tool | undefined => {
    const { effect = "write", definition } = tools[name] ?? {};
    return Object.hasOwn(tools, name)
      ? tool({
          name,
          remoteName: name,
          effect,
          definition: { name, inputSchema: { type: "object" }, ...definition },
        })
      : undefined;
  };
  const door: Door = {
    find: toolOf,
    names: () => Object.keys(tools),
    leaves: (name) => [toolOf(name)],
    depth: () => 0,
    identity: ({ name }) => `identity of ${name}`,
    call: async ({ name }, args, request) => {
      const one = {
        tool: name,
        args,
        key: request.meta["holdfast/idempotency-key"],
        at: performance.now(),
        request,
      };
      made.push(one);
      const nth = made.filter((other) => other.tool === name).length;
      const answer = await tools[name]?.answer?.(args, one, nth);
      if (answer instanceof Error) throw answer;
      return isResult(answer) ? answer : valued(answer ?? { ok: true });
    },
  };
  return {
    door,
    made,
    /** The names of the tools that were called, in order. */
    calls: () => made.map((one) => one.tool),
    of: (name: string) => made.filter((one) => one.tool === name),
  };
}

/** A definition made ready. Throws where anything is wrong with it. */
export function programOf(definition: unknown, kind: RunKind = "saga"): Program {
  const { program, problems } = parseDefinition(definition, kind);
  if (program === undefined || problems.length > 0) throw new Error(linesOf(problems).join("\n"));
  return program;
}
