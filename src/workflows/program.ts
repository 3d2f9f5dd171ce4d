/*
 * A definition made ready to run: its expressions compiled, its steps as a tree of what they do.
 */
import type { Finding, Path } from "../config/problems.ts";
import { compileExpression, type Expression } from "../expressions/expression.ts";
import { ExpressionError } from "../expressions/error.ts";
import { checkTemplate, compileTemplate, type Template } from "../expressions/template.ts";
import type { Definition, Step, StepRetry } from "./definition.ts";

/** JSON with expressions, and where it stands. */
export interface Code {
  readonly template: Template;
  readonly written: unknown;
  readonly at: Path;
}

/** A condition, and where it stands. */
export interface Condition {
  readonly expression: Expression;
  readonly written: string;
  readonly at: Path;
}

export interface UndoCode {
  readonly tool: string;
  readonly args: Code;
  readonly retry: StepRetry;
  readonly timeoutMs: number | undefined;
  readonly at: Path;
}

export interface VerifyCode {
  readonly tool: string;
  readonly args: Code;
  readonly happened: Condition;
  readonly result: Code | undefined;
  readonly delayMs: number;
  readonly attempts: number;
  readonly at: Path;
}

export interface ToolBody {
  readonly kind: "tool";
  readonly tool: string;
  readonly args: Code;
  readonly undo: UndoCode | false | undefined;
  readonly verify: VerifyCode | undefined;
}

export type Body =
  | ToolBody
  | { readonly kind: "steps"; readonly steps: readonly Node[] }
  | { readonly kind: "parallel"; readonly steps: readonly Node[] }
  | {
      readonly kind: "switch";
      readonly value: Condition;
      readonly cases: ReadonlyMap<string, readonly Node[]>;
      readonly otherwise: readonly Node[] | undefined;
    };

/** One step. */
export interface Node {
  readonly id: string;
  readonly step: Step;
  readonly at: Path;
  readonly when: Condition | undefined;
  /** The list of a loop. */
  readonly list: Code | undefined;
  readonly body: Body;
  readonly output: Code | undefined;
  readonly fallback: Code | undefined;
  /** The names of elements and indices of the loops around it, and of its own. */
  readonly names: readonly string[];
}

export interface Program {
  readonly definition: Definition;
  readonly steps: readonly Node[];
  readonly output: Code | undefined;
}

/** What is in scope everywhere. */
export const always = ["input", "steps", "event"] as const;

/** Compiles a definition. What is wrong with its expressions goes to `problems`; what has a problem does nothing. */
export function compileProgram(definition: Definition, problems: Finding[]): Program {
  const compiler = new Compiler(problems);
  return {
    definition,
    steps: compiler.steps(definition.steps, ["steps"], []),
    output: compiler.code(definition.output, ["output"], always),
  };
}

/** The steps below these and they themselves, in the order of the definition. */
export const allNodes = (nodes: readonly Node[]): Node[] =>
  nodes.flatMap((node) => [node, ...allNodes(childrenOf(node))]);

/** The steps right below one. */
export function childrenOf({ body }: Node): readonly Node[] {
  switch (body.kind) {
    case "tool":
      return [];
    case "switch":
      return [...body.cases.values(), body.otherwise ?? []].flat();
    default:
      return body.steps;
  }
}

/** Where a JSON pointer into what is written leads to. */
export function placeIn({ written, at }: Pick<Code, "written" | "at">, pointer: string): Path {
  let value = written;
  const keys = pointer.split("/").slice(1);
  return [
    ...at,
    ...keys.map((escaped) => {
      const key = escaped.replaceAll("~1", "/").replaceAll("~0", "~");
      const place = Array.isArray(value) ? Number(key) : key;
      value = (value as Record<string | number, unknown>)[place];
      return place;
    }),
  ];
}

/** The tools that a program names, each once. */
export const toolsOf = ({ steps }: Program): string[] => [
  ...new Set(
    allNodes(steps).flatMap(({ body }) =>
      body.kind === "tool"
        ? [body.tool, body.undo === false ? undefined : body.undo?.tool, body.verify?.tool].flatMap(
            (name) => name ?? [],
          )
        : [],
    ),
  ),
];

class Compiler {
  readonly #problems: Finding[];

  constructor(problems: Finding[]) {
    this.#problems = problems;
  }

  steps(steps: readonly Step[], at: Path, names: readonly string[]): Node[] {
    return steps.map((step, index) => this.#node(step, [...at, index], names));
  }

  /** Undefined where nothing is written. */
  code(written: unknown, at: Path, scope: readonly string[]): Code | undefined {
    if (written === undefined) return undefined;
    const errors = checkTemplate(written, { scope, where: "" });
    for (const error of errors) this.#tell(error, at, written);
    // What is right is looked at all the same, so that all is told at once.
    const right =
      errors.length > mostRepaired
        ? null
        : errors.reduce<unknown>(
            (rest, { path }) => withoutText(rest, placeIn({ written, at: [] }, path)),
            written,
          );
    return { template: compileTemplate(right, { scope, where: "" }), written, at };
  }

  #condition(written: string | undefined, at: Path, scope: readonly string[]) {
    if (written === undefined) return undefined;
    const compile = (text: string): Condition => ({
      expression: compileExpression(text, { scope, where: "" }),
      written,
      at,
    });
    try {
      return compile(written);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      this.#tell(error, at);
      // Of any kind, so that nothing more is found wrong with it.
      return compile("input");
    }
  }

  #node(step: Step, at: Path, around: readonly string[]): Node {
    const { forEach } = step;
    const names = forEach === undefined ? around : [...around, forEach.as, "index"];
    const outside = [...always, ...around];
    const inside = [...always, ...names];
    return {
      id: step.id,
      step,
      at,
      names,
      when: this.#condition(step.when, [...at, "when"], outside),
      list: this.code(forEach?.in, [...at, "forEach", "in"], outside),
      body: this.#body(step, at, names, inside),
      output: this.code(step.output, [...at, "output"], [...outside, "result"]),
      fallback: this.code(step.onError?.default, [...at, "onError", "default"], outside),
    };
  }

  #body(step: Step, at: Path, names: readonly string[], scope: readonly string[]): Body {
    if (step.steps !== undefined)
      return { kind: "steps", steps: this.steps(step.steps, [...at, "steps"], names) };
    if (step.parallel !== undefined)
      return { kind: "parallel", steps: this.steps(step.parallel, [...at, "parallel"], names) };
    if (step.switch !== undefined)
      return this.#switch(step.switch, [...at, "switch"], names, scope);
    return this.#tool(step, at, scope);
  }

  #switch(
    { value, cases, default: otherwise }: NonNullable<Step["switch"]>,
    at: Path,
    names: readonly string[],
    scope: readonly string[],
  ): Body {
    return {
      kind: "switch",
      value: this.#condition(value, [...at, "value"], scope) as Condition,
      cases: new Map(
        Object.entries(cases).map(([name, steps]) => [
          name,
          this.steps(steps, [...at, "cases", name], names),
        ]),
      ),
      otherwise: otherwise && this.steps(otherwise, [...at, "default"], names),
    };
  }

  #tool(step: Step, at: Path, scope: readonly string[]): ToolBody {
    const { tool = "", compensate, verify } = step;
    return {
      kind: "tool",
      tool,
      args: this.code(step.arguments, [...at, "arguments"], [...scope, "step"]) as Code,
      undo:
        compensate === undefined || compensate === false
          ? compensate
          : {
              tool: compensate.tool,
              retry: compensate.retry,
              timeoutMs: compensate.timeoutMs,
              at: [...at, "compensate"],
              args: this.code(
                compensate.arguments,
                [...at, "compensate", "arguments"],
                [...scope, "step", "arguments", "result"],
              ) as Code,
            },
      verify: verify && {
        tool: verify.tool,
        delayMs: verify.delayMs,
        attempts: verify.attempts,
        at: [...at, "verify"],
        args: this.code(
          verify.arguments,
          [...at, "verify", "arguments"],
          [...scope, "step", "arguments"],
        ) as Code,
        happened: this.#condition(
          verify.happened,
          [...at, "verify", "happened"],
          [...scope, "step", "arguments", "result"],
        ) as Condition,
        result: this.code(
          verify.result,
          [...at, "verify", "result"],
          [...scope, "step", "arguments", "result"],
        ),
      },
    };
  }

  #tell({ withoutPlace: message, path }: ExpressionError, at: Path, written?: unknown): void {
    this.#problems.push({ path: placeIn({ written, at }, path), message });
  }
}

/** Broken texts beside which the others are still looked at. */
const mostRepaired = 20;

/** JSON with null in place of what stands at `keys`. */
function withoutText(value: unknown, [key, ...rest]: Path): unknown {
  if (key === undefined) return null;
  if (Array.isArray(value))
    return value.map((item: unknown, index) => (index === key ? withoutText(item, rest) : item));
  return Object.fromEntries(
    Object.entries(value as object).map(([name, member]: [string, unknown]) => [
      name,
      name === key ? withoutText(member, rest) : member,
    ]),
  );
}
