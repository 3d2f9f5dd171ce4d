/*
 * What a run would do, as far as that is known before it does anything.
 */
import type { Effect, JsonObject } from "../call.ts";
import { showPath, type Finding } from "../config/problems.ts";
import { ExpressionError } from "../expressions/error.ts";
import { compileTemplate } from "../expressions/template.ts";
import { isObject } from "../wire.ts";
import { undoable, type Tools } from "./check-tools.ts";
import { always, type Body, type Condition, type Node, type Program } from "./program.ts";

interface Undone {
  readonly tool: string;
  readonly effect: Effect;
  readonly arguments: unknown;
}

/** One step of a plan. All of it is JSON. */
export interface PlannedStep {
  readonly step: string;
  readonly tool?: string;
  readonly effect?: Effect;
  /** With expressions where values are not known yet. */
  readonly arguments?: unknown;
  readonly when?: string | boolean;
  readonly forEach?: unknown;
  /** The tool that undoes it; null where nothing does. */
  readonly undo?: Undone | null;
  readonly pivot?: true;
  readonly steps?: readonly PlannedStep[];
  readonly parallel?: readonly PlannedStep[];
  readonly switch?: string | boolean;
  readonly cases?: Readonly<Record<string, readonly PlannedStep[]>>;
  /** Where there is no such case. */
  readonly default?: readonly PlannedStep[];
}

/** The steps of a program with what `input` makes known. */
export function planOf(program: Program, kind: "chain" | "saga", input: JsonObject, tools: Tools) {
  const back = undoable(program);
  const effectOf = (name: string): Effect => {
    const tool = tools.find(name);
    return tool === undefined || "refused" in tool ? "write" : tool.effect;
  };
  const plan = (node: Node): PlannedStep => {
    const { id, step, body, when, list } = node;
    return {
      step: id,
      ...(when !== undefined && { when: known(when, input) }),
      ...(list !== undefined && { forEach: resolved(list.written, input) }),
      ...planBody(body, node),
      ...(step.pivot && { pivot: true }),
    };
  };
  const planBody = (body: Body, node: Node): Partial<PlannedStep> => {
    switch (body.kind) {
      case "steps":
        return { steps: body.steps.map(plan) };
      case "parallel":
        return { parallel: body.steps.map(plan) };
      case "switch": {
        const cases = [...body.cases].map(([name, steps]) => [name, steps.map(plan)] as const);
        return {
          switch: known(body.value, input),
          cases: Object.fromEntries(cases),
          ...(body.otherwise !== undefined && { default: body.otherwise.map(plan) }),
        };
      }
      case "tool": {
        const effect = effectOf(body.tool);
        const { undo } = body;
        const isUndone = undo !== undefined && undo !== false && back.has(node);
        return {
          tool: body.tool,
          effect,
          arguments: resolved(body.args.written, input),
          ...(kind === "saga" &&
            (isUndone || effect !== "read") && {
              undo: isUndone
                ? {
                    tool: undo.tool,
                    effect: effectOf(undo.tool),
                    arguments: resolved(undo.args.written, input),
                  }
                : null,
            }),
        };
      }
    }
  };
  return program.steps.map(plan);
}

/** The writes of a plan, a line each, for a person who is to consent. `loops` says how often they are made. */
export const writesOf = (steps: readonly PlannedStep[], loops = ""): string[] =>
  steps.flatMap(({ step, tool, effect, arguments: args, undo, forEach, ...rest }) => {
    const often = forEach === undefined ? loops : `${loops}, for each of ${shown(forEach)}`;
    return [
      ...(tool !== undefined && effect !== "read"
        ? [`${step}${often}: ${tool} ${shown(args)}`]
        : []),
      ...(undo && undo.effect !== "read"
        ? [`${step}${often}, to undo it: ${undo.tool} ${shown(undo.arguments)}`]
        : []),
      ...writesOf(
        [
          ...(rest.steps ?? []),
          ...(rest.parallel ?? []),
          ...Object.values(rest.cases ?? {}).flat(),
          ...(rest.default ?? []),
        ],
        often,
      ),
    ];
  });

const longestShown = 300;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "";
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text;
}

/** A line for each finding. */
export const linesOf = (findings: readonly Finding[]): string[] =>
  findings.map(({ path, message }) => [showPath(path), message].filter(Boolean).join(": "));

/** The value of a condition that builds on the input alone; else as it is written. */
function known({ expression, written }: Condition, input: JsonObject): string | boolean {
  if (!expression.reads.every(({ names }) => names[0] === "input")) return written;
  try {
    const value = expression.evaluate({ input });
    return typeof value === "boolean" || typeof value === "string" ? value : written;
  } catch {
    return written;
  }
}

/** JSON in which each text that builds on the input alone has its value. */
function resolved(written: unknown, input: JsonObject): unknown {
  if (typeof written === "string") return resolvedText(written, input);
  if (Array.isArray(written)) return written.map((item: unknown) => resolved(item, input));
  if (!isObject(written)) return written;
  return Object.fromEntries(
    Object.entries(written).map(([key, value]) => [key, resolved(value, input)]),
  );
}

function resolvedText(text: string, input: JsonObject): unknown {
  if (!text.includes("${{")) return text;
  try {
    const { uses, evaluate } = compileTemplate(text, { scope: [...always], where: "" });
    return uses.every((name) => name === "input") ? evaluate({ input }) : text;
  } catch (error) {
    // It reads what is in scope later only, or what the input does not have.
    if (error instanceof ExpressionError) return text;
    throw error;
  }
}
