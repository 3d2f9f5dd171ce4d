/*
 * What can be told of a definition from the tools that are there.
 */
import { distance } from "fastest-levenshtein";
import type { JsonObject, Tool } from "../call.ts";
import type { Finding, Path } from "../config/problems.ts";
import { compileTemplate } from "../expressions/template.ts";
import type { Read } from "../expressions/code.ts";
import type { Expression } from "../expressions/expression.ts";
import { ExpressionError, short } from "../expressions/error.ts";
import type { Kind } from "../expressions/values.ts";
import { mayLack, type Findings } from "./check-shape.ts";
import {
  allNodes,
  placeIn,
  type Code,
  type Condition,
  type Node,
  type Program,
  type ToolBody,
} from "./program.ts";
import type { RunKind } from "./run-store.ts";
import { misfits, nameOf, schemaAt, typeIn, type JsonType, type TypeOf } from "./schema-fit.ts";

/** The tools that a workflow can use. */
export interface Tools {
  /** A tool by its exposed name, or why a workflow cannot use it; undefined where there is none. */
  readonly find: (name: string) => Tool | { readonly refused: string } | undefined;
  readonly names: () => readonly string[];
  /** The servers' tools that a tool of this name may come to call: itself, or what it is made of; undefined for one that is not there. */
  readonly leaves: (name: string) => readonly (Tool | undefined)[];
  /** How many chains and sagas run in each other below a tool of this name: 0 for a server's own, Infinity in a circle. */
  readonly depth: (name: string) => number;
}

/** How many chains and sagas may run in each other. */
const deepest = 4;

/** What is wrong with a definition, given the tools. Its program has no problem of its own. */
export function checkTools(program: Program, kind: RunKind, tools: Tools): Findings {
  const check = new ToolCheck(program, kind, tools);
  for (const node of allNodes(program.steps)) check.node(node);
  for (const node of allNodes(program.steps)) check.reads(node);
  check.output();
  return check.findings;
}

/** The steps before the pivot, which are undone; all of them where there is none. */
export function undoable({ steps }: Program): ReadonlySet<Node> {
  const pivot = steps.findIndex(({ step }) => step.pivot);
  return new Set(allNodes(pivot === -1 ? steps : steps.slice(0, pivot)));
}

class ToolCheck {
  readonly findings: Findings = { problems: [], warnings: [] };
  readonly #program: Program;
  readonly #kind: RunKind;
  readonly #tools: Tools;
  readonly #undoable: ReadonlySet<Node>;
  readonly #nodes: ReadonlyMap<string, Node>;

  constructor(program: Program, kind: RunKind, tools: Tools) {
    this.#program = program;
    this.#kind = kind;
    this.#tools = tools;
    this.#undoable = undoable(program);
    this.#nodes = new Map(allNodes(program.steps).map((node) => [node.id, node]));
  }

  node(node: Node): void {
    const { body, step, at, when, list } = node;
    this.#expect(when?.expression, "boolean", [...at, "when"]);
    this.#expect(list?.template.whole, "array", [...at, "forEach", "in"]);
    if (body.kind !== "tool") return;
    const tool = this.#tool(body.tool, [...at, "tool"]);
    if (tool !== undefined) this.#arguments(body.args, tool, undefined);
    if (body.undo !== undefined && body.undo !== false) {
      const undo = this.#tool(body.undo.tool, [...body.undo.at, "tool"]);
      if (undo?.effect === "write")
        this.#warn(
          [...body.undo.at, "tool"],
          `${undo.name} is not idempotent: a compensation is called at least once, and may be called again`,
        );
      if (undo !== undefined) this.#arguments(body.undo.args, undo, tool);
    }
    if (step.onUnknown === "retry" && tool?.effect === "write")
      this.#warn(
        [...at, "onUnknown"],
        `${tool.name} is not idempotent: calling it again may do it twice`,
      );
    if (body.verify !== undefined) {
      const verify = this.#tool(body.verify.tool, [...body.verify.at, "tool"]);
      if (verify !== undefined && verify.effect !== "read")
        this.#problem(
          [...body.verify.at, "tool"],
          `${verify.name} does not only read (${verify.effectSource})`,
        );
      const { expression, at: place } = body.verify.happened;
      this.#expect(expression, "boolean", place, verify);
      if (verify !== undefined) this.#arguments(body.verify.args, verify, undefined);
    }
    if (this.#kind === "saga" && tool !== undefined) this.#undone(node, body, tool);
  }

  /** What a step reads of results whose schema is known by now. */
  reads({ when, list, body, output, fallback, step }: Node): void {
    this.#condition(when);
    if (body.kind === "switch") this.#condition(body.value);
    for (const code of [list, fallback]) this.#code(code);
    if (body.kind !== "tool") return this.#code(output);
    const { tool, args, undo, verify } = body;
    const answer = this.#outputOf(tool);
    this.#code(output, step.forEach === undefined ? answer : undefined);
    this.#code(args);
    if (undo !== undefined && undo !== false) this.#code(undo.args, answer);
    if (verify === undefined) return;
    const found = this.#outputOf(verify.tool);
    this.#code(verify.args);
    this.#condition(verify.happened, found);
    this.#code(verify.result, found);
  }

  /** What the result of a step looks like, as far as that is known and it has one. */
  #resultOf({ step, body }: Node): unknown {
    if (step.output !== undefined || step.onError?.action === "default") return undefined;
    if (step.forEach !== undefined) return { type: "array" };
    const sure = (node: Node): unknown =>
      node.when === undefined && node.step.onError === undefined ? this.#resultOf(node) : undefined;
    switch (body.kind) {
      case "tool":
        return this.#outputOf(body.tool);
      case "steps":
        return body.steps.map(sure).at(-1);
      case "parallel": {
        const made = step.mode === "collect" ? () => ({}) : (node: Node) => sure(node) ?? {};
        const properties = Object.fromEntries(body.steps.map((node) => [node.id, made(node)]));
        return { type: "object", properties, additionalProperties: false };
      }
      case "switch":
        return undefined;
    }
  }

  /** What the result of a tool looks like, where it says so. */
  #outputOf(name: string): unknown {
    const tool = this.#tools.find(name);
    return tool === undefined || "refused" in tool ? undefined : tool.definition["outputSchema"];
  }

  #condition(condition: Condition | undefined, result?: unknown): void {
    if (condition !== undefined)
      for (const read of condition.expression.reads) this.#read(read, condition.at, result);
  }

  output(): void {
    this.#code(this.#program.output);
  }

  #tool(name: string, path: Path): Tool | undefined {
    // That there is none is told already.
    if (name === "") return undefined;
    const found = this.#tools.find(name);
    if (found !== undefined && "refused" in found) {
      this.#problem(path, found.refused);
      return undefined;
    }
    if (found === undefined) {
      // No tool's name is longer, and the time that it takes grows with the length.
      const start = name.slice(0, 128);
      const near = this.#tools
        .names()
        .toSorted((a, b) => distance(a, start) - distance(b, start))
        .slice(0, 3);
      const nearest = near.length > 0 ? `; the nearest are ${near.join(", ")}` : "";
      this.#problem(path, `there is no tool ${JSON.stringify(short(name))}${nearest}`);
    }
    const depth = this.#tools.depth(name);
    if (depth >= deepest)
      this.#problem(
        path,
        depth === Infinity
          ? `${name} comes to call itself`
          : `expected at most ${deepest} chains and sagas in each other`,
      );
    return found;
  }

  /** What changes something has to say how it is undone, or that it is not. */
  #undone(node: Node, { undo }: ToolBody, { name, effect, effectSource }: Tool): void {
    if (effect === "read" || undo !== undefined || node.step.pivot || !this.#undoable.has(node))
      return;
    this.#problem(
      node.at,
      `${name} changes something (${effect}: ${effectSource}): expected "compensate", or "compensate": false where there is nothing to undo`,
    );
  }

  #arguments({ written, at }: Code, { definition }: Tool, own: Tool | undefined): void {
    this.findings.problems.push(
      ...misfits(written, definition["inputSchema"], at, this.#typeOf(own)),
    );
  }

  /** The type of what a text's expressions give, where its own step is one of `own`. */
  readonly #typeOf =
    (own: Tool | undefined): TypeOf =>
    (text) => {
      if (!text.includes("${{")) return undefined;
      const scope = [...new Set([...this.#names(), ...scopeNames])];
      try {
        const { expressions, whole } = compileTemplate(text, { scope, where: "" });
        if (expressions.length === 0) return undefined;
        if (whole === undefined) return "string";
        return this.#typeOfWhole(whole, own);
      } catch (error) {
        if (!(error instanceof ExpressionError)) throw error;
        return "any";
      }
    };

  #typeOfWhole({ reads, text, kind }: Expression, own: Tool | undefined): JsonType {
    const [read] = reads;
    const isPath = read !== undefined && text === read.names.join(".");
    return isPath ? this.#typeOfRead(read, own) : types[kind];
  }

  /** What the schemas tell of a condition or a list, beside what the expression alone does. */
  #expect(expression: Expression | undefined, wanted: JsonType, path: Path, own?: Tool): void {
    const type = expression === undefined ? wanted : this.#typeOfWhole(expression, own);
    if (type !== wanted && type !== "any" && expression?.kind === "any")
      this.#problem(path, `expected ${nameOf(wanted)}, got ${nameOf(type)}`);
  }

  #names(): string[] {
    return allNodes(this.#program.steps).flatMap(({ names }) => names);
  }

  #typeOfRead({ names }: Read, own: Tool | undefined): JsonType {
    const [name, ...keys] = names;
    if (name === "input") return typeIn(schemaAt(this.#program.definition.inputSchema, keys));
    if (name === "result") return typeIn(schemaAt(own?.definition["outputSchema"], keys));
    if (name === "arguments") return typeIn(schemaAt(own?.definition["inputSchema"], keys));
    if (name === "index") return "number";
    if (name === "step") return keys.length > 0 ? "string" : "object";
    const [id = "", member, ...inner] = keys;
    if (name !== "steps" || member !== "result") return "any";
    const node = this.#nodes.get(id);
    // Where it was skipped it is null.
    if (node === undefined || (inner.length === 0 && mayLack([...this.#nodes.values()], node, [])))
      return "any";
    return typeIn(schemaAt(this.#resultOf(node), inner));
  }

  /** `result` is what the name result means here. */
  #code(code: Code | undefined, result?: unknown): void {
    if (code === undefined) return;
    for (const { reads, path } of code.template.expressions)
      for (const read of reads) this.#read(read, placeIn(code, path), result);
  }

  #read({ names }: Read, path: Path, result: unknown): void {
    const [name, id = "", member] = names;
    if (name === "result") return this.#members(result, ["result"], names.slice(1), path);
    const node = name === "steps" && member === "result" ? this.#nodes.get(id) : undefined;
    if (node !== undefined)
      this.#members(this.#resultOf(node), names.slice(0, 3), names.slice(3), path);
  }

  #members(schema: unknown, of: readonly string[], keys: readonly string[], path: Path): void {
    for (let length = 1; length <= keys.length; length++) {
      const inner = keys.slice(0, length);
      const shown = [...of, ...inner].join(".");
      if (typeIn(schemaAt(schema, inner.slice(0, -1))) === "array")
        return this.#problem(path, `${shown}: a list has no such member`);
      if (schemaAt(schema, inner) === "absent")
        return this.#problem(path, `${shown}: there is no such member`);
      if (!isNamed(schemaAt(schema, inner.slice(0, -1)), inner.at(-1)))
        return this.#warn(path, `${shown}: no outputSchema names it`);
    }
  }

  #problem(path: Path, message: string): void {
    this.findings.problems.push({ path, message } satisfies Finding);
  }

  #warn(path: Path, message: string): void {
    this.findings.warnings.push({ path, message });
  }
}

const scopeNames = ["input", "steps", "event", "step", "arguments", "result"];

const types: Readonly<Record<Kind, JsonType>> = {
  number: "number",
  string: "string",
  boolean: "boolean",
  null: "null",
  list: "array",
  object: "object",
  // Both become text.
  timestamp: "string",
  duration: "string",
  optional: "any",
  any: "any",
};

/** Whether a schema that names its members names this one, too. */
function isNamed(schema: JsonObject | "absent" | undefined, key: string | undefined): boolean {
  if (typeof schema !== "object" || key === undefined) return true;
  const { properties } = schema;
  return typeof properties !== "object" || properties === null || Object.hasOwn(properties, key);
}
