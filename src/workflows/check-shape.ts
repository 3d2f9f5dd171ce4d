/*
 * What can be told of a definition from itself alone.
 */
import type { Finding, Path } from "../config/problems.ts";
import type { Read } from "../expressions/code.ts";
import type { Kind } from "../expressions/values.ts";
import { isObject } from "../wire.ts";
import type { Definition, Step } from "./definition.ts";
import {
  allNodes,
  always,
  childrenOf,
  compileProgram,
  placeIn,
  type Code,
  type Condition,
} from "./program.ts";
import type { Node, Program, ToolBody } from "./program.ts";
import type { RunKind } from "./run-store.ts";
import { schemaAt } from "./schema-fit.ts";

/** What a check has found. */
export interface Findings {
  /** What keeps it from running. */
  readonly problems: Finding[];
  /** What may go wrong. */
  readonly warnings: Finding[];
}

export interface Shaped extends Findings {
  readonly program: Program;
}

/** Steps of a definition in all, and how deep they may stand in each other. */
const mostSteps = 200;
const deepest = 8;

/** Names that mean something in every expression. */
const reserved = [...always, "step", "arguments", "result", "index"];
/** What is no name in an expression, but means something without being one. */
const literals = ["true", "false", "null"];

/** Compiles a definition and tells what is wrong with it, whatever tools there are. */
export function checkShape(definition: Definition, kind: RunKind): Shaped {
  const problems: Finding[] = [];
  const warnings: Finding[] = [];
  checkSizes(definition.steps, ["steps"], problems);
  // What is too much is not compiled either.
  const program = compileProgram(
    problems.length > 0 ? { ...definition, steps: [] } : definition,
    problems,
  );
  const nodes = allNodes(program.steps);
  if (problems.length > 0 && nodes.length === 0) return { program, problems, warnings };
  checkIds(nodes, problems);
  for (const node of nodes) checkStep(node, kind, problems);
  checkPivot(program, nodes, { problems, warnings });
  new Reads(program, nodes, { problems, warnings }).check();
  return { program, problems, warnings };
}

function checkSizes(steps: readonly Step[], at: Path, problems: Finding[]): void {
  let count = 0;
  const visit = (some: readonly Step[], path: Path, depth: number): void => {
    if (depth > deepest && some.length > 0) {
      problems.push({ path, message: `expected at most ${deepest} levels of steps in each other` });
      return;
    }
    for (const [index, step] of some.entries()) {
      count++;
      const here = [...path, index];
      visit(step.steps ?? [], [...here, "steps"], depth + 1);
      visit(step.parallel ?? [], [...here, "parallel"], depth + 1);
      for (const [name, inner] of Object.entries(step.switch?.cases ?? {}))
        visit(inner, [...here, "switch", "cases", name], depth + 1);
      visit(step.switch?.default ?? [], [...here, "switch", "default"], depth + 1);
    }
  };
  visit(steps, at, 1);
  if (count > mostSteps)
    problems.push({ path: at, message: `expected at most ${mostSteps} steps, got ${count}` });
}

function checkIds(nodes: readonly Node[], problems: Finding[]): void {
  const seen = new Set<string>();
  for (const { id, at } of nodes) {
    if (seen.has(id))
      problems.push({ path: [...at, "id"], message: `a second step of the id "${id}"` });
    seen.add(id);
  }
}

const bodies = ["tool", "steps", "parallel", "switch"] as const;
const ofSagas = ["compensate", "verify", "onUnknown"] as const;
const ofTools = [...ofSagas, "retry", "timeoutMs"] as const;

function checkStep(
  { step, at, when, list, body, names }: Node,
  kind: RunKind,
  problems: Finding[],
) {
  const tell = (key: string, message: string): void =>
    void problems.push({ path: [...at, key], message });
  const given = bodies.filter((key) => step[key] !== undefined);
  if (given.length !== 1)
    problems.push({
      path: at,
      message: `expected one of tool, steps, parallel and switch, got ${given.join(" and ") || "none"}`,
    });
  if (step.tool === undefined)
    for (const key of ofTools)
      if (step[key] !== undefined) tell(key, "goes with tool, and this step has none");
  if (step.tool === undefined && Object.keys(step.arguments).length > 0)
    tell("arguments", "goes with tool, and this step has none");
  if (kind === "chain") {
    for (const key of ofSagas)
      if (step[key] !== undefined) tell(key, "is for sagas: a chain undoes nothing");
    if (step.pivot) tell("pivot", "is for sagas: a chain undoes nothing");
  }
  const { as } = step.forEach ?? {};
  const taken = [...reserved, ...literals, ...names.slice(0, -2)];
  if (as !== undefined && taken.includes(as))
    problems.push({ path: [...at, "forEach", "as"], message: `the name "${as}" is taken` });
  if (step.onError !== undefined) checkOnError(step.onError, [...at, "onError"], problems);
  if (step.onUnknown === "verify" && step.verify === undefined)
    tell("onUnknown", 'needs "verify", which says how');
  expectKind(when, "boolean", problems);
  if (list !== undefined) expectList(list, problems);
  if (body.kind === "tool") expectKind(body.verify?.happened, "boolean", problems);
}

function checkOnError(
  { action, default: value }: NonNullable<Step["onError"]>,
  path: Path,
  problems: Finding[],
): void {
  if (action === "default" && value === undefined)
    problems.push({ path, message: 'the action "default" needs "default", the result' });
  if (action !== "default" && value !== undefined)
    problems.push({ path: [...path, "default"], message: 'goes with the action "default"' });
}

function expectKind(condition: Condition | undefined, kind: Kind, problems: Finding[]): void {
  const got = condition?.expression.kind ?? "any";
  if (condition !== undefined && got !== kind && got !== "any")
    problems.push({ path: condition.at, message: `expected true or false, got a ${got}` });
}

function expectList({ written, template, at }: Code, problems: Finding[]): void {
  if (Array.isArray(written)) return;
  const { whole } = template;
  // Of what has a problem already nothing is left.
  if (whole === undefined && template.expressions.length === 0 && isExpression(written)) return;
  if (whole === undefined)
    problems.push({ path: at, message: "expected a list, or one expression that gives a list" });
  else if (whole.kind !== "list" && whole.kind !== "any")
    problems.push({ path: at, message: `expected a list, got a ${whole.kind}` });
}

const isExpression = (written: unknown): boolean =>
  typeof written === "string" && written.startsWith("${{");

/** The point of no return is one step of the top level; what comes after it is never undone. */
function checkPivot(
  { steps }: Program,
  nodes: readonly Node[],
  { problems, warnings }: Findings,
): void {
  const [pivot, ...others] = nodes.filter(({ step }) => step.pivot);
  for (const { at } of others)
    problems.push({ path: [...at, "pivot"], message: "a second pivot; there is one at most" });
  if (pivot === undefined) return;
  const { step, at } = pivot;
  if (!steps.includes(pivot) || step.forEach !== undefined || step.tool === undefined)
    problems.push({
      path: [...at, "pivot"],
      message: "expected a step of the top level that calls one tool once",
    });
  for (const key of ["when", "onError"] as const)
    if (step[key] !== undefined)
      problems.push({
        path: [...at, key],
        message: "does not go with pivot: what follows relies on it having happened",
      });
  if (step.onUnknown === "retry" || step.onUnknown === "compensate")
    problems.push({
      path: [...at, "onUnknown"],
      message: `expected "verify" or "stop": nobody knows on which side of the pivot the run is`,
    });
  for (const late of allNodes(steps.slice(steps.indexOf(pivot))))
    if (late.step.compensate !== undefined && late.step.compensate !== false)
      warnings.push({
        path: [...late.at, "compensate"],
        message: "is never used: from the pivot on nothing is undone",
      });
}

/** Follows the steps and looks at what each one reads of those before it. */
class Reads {
  readonly #program: Program;
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #findings: Findings;

  constructor(program: Program, nodes: readonly Node[], findings: Findings) {
    this.#program = program;
    this.#nodes = new Map(nodes.map((node) => [node.id, node]));
    this.#findings = findings;
  }

  check(): void {
    const { steps, output } = this.#program;
    const done = this.#list(steps, new Set());
    this.#code(output, done);
  }

  /** The ids whose results are there after these steps. */
  #list(nodes: readonly Node[], before: ReadonlySet<string>): Set<string> {
    let done = new Set(before);
    for (const node of nodes) done = this.#node(node, done);
    return done;
  }

  #node(node: Node, before: ReadonlySet<string>): Set<string> {
    const { when, list, output, fallback, body, step } = node;
    this.#condition(when, before);
    this.#code(list, before);
    this.#code(fallback, before);
    const inside = this.#body(node, before);
    if (body.kind === "tool") {
      this.#code(body.args, before);
      this.#sent(node, body);
      if (body.undo !== undefined && body.undo !== false) {
        this.#code(body.undo.args, before);
        if (step.onUnknown === "compensate") this.#withoutResult(body.undo.args);
        else if (body.verify !== undefined && body.verify.result === undefined)
          this.#mayLackResult(body.undo.args);
      }
      this.#code(body.verify?.args, before);
      this.#condition(body.verify?.happened, before);
      this.#code(body.verify?.result, before);
    }
    const done = new Set(step.forEach === undefined ? inside : before);
    this.#code(output, done);
    return done.add(node.id);
  }

  /** What undoes a step and what looks for it see the arguments that the step sends, and no others. */
  #sent({ step }: Node, { undo, verify }: ToolBody): void {
    const tell = (reads: readonly Read[], path: Path): void => {
      for (const { names, required } of reads) {
        const [name, key = ""] = names;
        if (name === "arguments" && required > 1 && !Object.hasOwn(step.arguments, key))
          this.#problem(path, `the step sends no argument "${key}"`);
      }
    };
    const undoArgs = undo === false ? undefined : undo?.args;
    for (const code of [undoArgs, verify?.args, verify?.result].filter((one) => one !== undefined))
      for (const { reads, path } of code.template.expressions) tell(reads, placeIn(code, path));
    if (verify !== undefined) tell(verify.happened.expression.reads, verify.happened.at);
  }

  #body(node: Node, before: ReadonlySet<string>): Set<string> {
    const { body } = node;
    if (body.kind === "steps") return this.#list(body.steps, before);
    if (body.kind === "switch") this.#condition(body.value, before);
    const branches =
      body.kind === "switch"
        ? [...body.cases.values(), body.otherwise ?? []]
        : childrenOf(node).map((child) => [child]);
    // None of them sees what another does.
    return new Set([...before, ...branches.flatMap((branch) => [...this.#list(branch, before)])]);
  }

  #condition(condition: Condition | undefined, done: ReadonlySet<string>): void {
    if (condition !== undefined)
      for (const read of condition.expression.reads) this.#read(read, condition.at, done);
  }

  #code(code: Code | undefined, done: ReadonlySet<string>): void {
    if (code === undefined) return;
    for (const { reads, path } of code.template.expressions)
      for (const read of reads) this.#read(read, placeIn(code, path), done);
  }

  #read({ names, required }: Read, path: Path, done: ReadonlySet<string>): void {
    const [name, key, member] = names;
    if (key === undefined) return;
    if (name === "steps") this.#step(key, member, required > 3, path, done);
    if (name === "step" && key !== "key") this.#problem(path, `expected step.key, got step.${key}`);
    if (name === "input") this.#input(names.slice(1), required - 1, path);
  }

  #step(
    id: string,
    member: string | undefined,
    goesInto: boolean,
    path: Path,
    done: ReadonlySet<string>,
  ): void {
    const node = this.#nodes.get(id);
    if (node === undefined) {
      const ids = [...done].join(", ") || "none";
      this.#problem(path, `there is no step "${id}"; done here: ${ids}`);
    } else if (!done.has(id)) this.#problem(path, `step "${id}" is not done yet here`);
    else if (member !== undefined && !["result", "error", "errors"].includes(member))
      this.#problem(path, `expected steps.${id}.result, .error or .errors, got .${member}`);
    else if (member === "result" && goesInto && mayLack([...this.#nodes.values()], node, path))
      this.#warn(path, `steps.${id}.result is null where step "${id}" is skipped or fails`);
  }

  #input(keys: readonly string[], required: number, path: Path): void {
    const { inputSchema } = this.#program.definition;
    const [name = ""] = keys;
    const { properties, required: needed } = inputSchema;
    if (schemaAt(inputSchema, [name]) === "absent")
      return this.#problem(path, `the inputSchema has no "${name}"`);
    if (!isObject(properties)) return;
    if (!Object.hasOwn(properties, name))
      return this.#warn(path, `the inputSchema does not name "${name}"`);
    const schema = properties[name];
    const isThere =
      (Array.isArray(needed) && needed.includes(name)) || (isObject(schema) && "default" in schema);
    if (!isThere && required > 0)
      this.#warn(path, `input.${name} may be missing: it is not required, and has no default`);
  }

  /** What undoes a step of which nobody knows whether it happened cannot build on its result. */
  #withoutResult(args: Code): void {
    if (args.template.uses.includes("result"))
      this.#problem(
        args.at,
        'reads result, which is not known where onUnknown is "compensate": use arguments or step.key',
      );
  }

  #mayLackResult(args: Code): void {
    if (args.template.uses.includes("result"))
      this.#warn(
        args.at,
        "reads result, which is null where verify finds that the step happened: give verify.result",
      );
  }

  #problem(path: Path, message: string): void {
    this.#findings.problems.push({ path, message });
  }

  #warn(path: Path, message: string): void {
    this.#findings.warnings.push({ path, message });
  }
}

/** Whether a step may have no result where another reads it: it, or what it stands in, may be skipped or fail. */
export function mayLack(nodes: readonly Node[], node: Node, reader: Path): boolean {
  if (!isOnPath(branchOf(node.at), reader)) return true;
  return nodes.some(({ at, when, step }) => {
    if (!isOnPath(at, node.at)) return false;
    const isOwnOutput = isOnPath([...at, "output"], reader);
    if (isOnPath(at, reader) && !isOwnOutput) return false;
    const isIt = at.length === node.at.length;
    const { action = "fail" } = step.onError ?? {};
    const mayFail = isIt ? action === "continue" : action !== "fail";
    const collects = !isIt && step.mode === "collect";
    return collects || (!isOwnOutput && (when !== undefined || mayFail));
  });
}

/** The list of a switch that a step stands in; the whole definition where it is in none. */
function branchOf(at: Path): Path {
  const last = at.lastIndexOf("switch");
  return last === -1 ? [] : at.slice(0, last + (at[last + 1] === "cases" ? 3 : 2));
}

const isOnPath = (start: Path, path: Path): boolean =>
  start.every((key, index) => path[index] === key);
