/*
 * Goes through the steps of a program in their order. What a step that calls a tool does is not known here.
 */
import pLimit from "p-limit";
import type { JsonObject } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { cancelled, messageOf } from "../errors.ts";
import { short } from "../expressions/error.ts";
import type { Node, Program, ToolBody } from "./program.ts";
import { allNodes } from "./program.ts";
import { Halted, StepFailed, stepFailed, TooMuch, type StepError } from "./step-error.ts";

/** What expressions see of a step. */
export interface StepResult {
  readonly result: unknown;
  readonly error: StepError | null;
  /** Of a step that collects: what failed in it. */
  readonly errors: readonly StepError[];
}

/** What expressions see. */
export interface Values {
  readonly input: unknown;
  readonly event: unknown;
  readonly steps: Record<string, StepResult>;
  readonly [name: string]: unknown;
}

/** One call of a tool that is to be made. */
export interface Task {
  readonly node: Node;
  readonly body: ToolBody;
  /** The step's place in the run: its id, with the elements of the loops around it. */
  readonly path: string;
  readonly values: Values;
  /** Cancelled where another step has failed, so that this one is of no use. */
  readonly signal: Cancel;
}

/** Makes the call, and gives the step's result. Rejects with StepFailed or Halted. */
export type Perform = (task: Task) => Promise<unknown>;

/** What a person has said that a step's result is which fails by itself; undefined where nobody did. */
export type Settled = (path: string) => { readonly value: unknown } | undefined;

/**
 * Walks through a program. Resolves with its output; rejects with the StepFailed of the first step that fails
 * where nothing caught it, or with Halted.
 */
export async function walk(
  program: Program,
  given: Pick<Values, "input" | "event">,
  perform: Perform,
  signal: Cancel,
  settled: Settled = () => undefined,
): Promise<unknown> {
  const none: StepResult = { result: null, error: null, errors: [] };
  const steps = Object.fromEntries(allNodes(program.steps).map(({ id }) => [id, none]));
  const values: Values = { input: given.input, event: given.event, steps };
  const last = await new Walker(perform, settled).list(program.steps, values, "", signal);
  return program.output === undefined
    ? last
    : evaluated(outputStep, () => program.output?.template.evaluate(values));
}

/** The arguments of a call, with the key of its effect in scope. Throws StepFailed. */
export const argumentsOf = ({ body, values, path }: Task, key: string): JsonObject =>
  evaluated(path, () => body.args.template.evaluate({ ...values, step: { key } })) as JsonObject;

/** Stands for the step where the output of the whole cannot be made. No step has such an id. */
export const outputStep = "(output)";

/** What `evaluate` gives; where it cannot, the step fails. */
export function evaluated<T>(step: string, evaluate: () => T): T {
  try {
    return evaluate();
  } catch (error) {
    throw stepFailed(step, "expression", messageOf(error), error);
  }
}

/** Characters of JSON of the results that one run holds in memory. */
const mostHeld = 64 * 1024 * 1024;

/** Steps that one run begins, each element of a loop counted: loops in loops multiply. */
export const mostBegun = 20_000;

class Walker {
  readonly #perform: Perform;
  readonly #settled: Settled;
  #begun = 0;
  #held = 0;

  constructor(perform: Perform, settled: Settled) {
    this.#perform = perform;
    this.#settled = settled;
  }

  /** Before memory is taken for them. */
  #count(path: string, steps: number): void {
    this.#begun += steps;
    if (this.#begun <= mostBegun) return;
    const message = `a run begins at most ${mostBegun} steps, each element of a loop counted`;
    throw new TooMuch(stepFailed(path, "definition", message).error);
  }

  /** A result is there for as long as the run. */
  #hold(path: string, result: unknown): unknown {
    this.#held += JSON.stringify(result)?.length ?? 0;
    if (this.#held <= mostHeld) return result;
    const message = `a run holds results of at most ${mostHeld} characters in all`;
    throw new TooMuch(stepFailed(path, "too_large", message).error);
  }

  /** The result of the last step; null where there is none. */
  async list(
    nodes: readonly Node[],
    values: Values,
    prefix: string,
    signal: Cancel,
  ): Promise<unknown> {
    let result: unknown = null;
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    for (const node of nodes) result = await this.#node(node, values, prefix, signal);
    return result;
  }

  async #node(node: Node, values: Values, prefix: string, signal: Cancel): Promise<unknown> {
    const { id, when, step, output } = node;
    const path = prefix + id;
    const errors: StepError[] = [];
    let result: unknown = null;
    let error: StepError | null = null;
    try {
      if (when !== undefined && !truth(path, "when", when.expression.evaluate, values)) return null;
      this.#count(path, step.forEach === undefined ? 1 : 0);
      result = await (step.forEach === undefined
        ? this.#body(node, values, path, prefix, signal, errors)
        : this.#loop(node, values, path, signal, errors));
      if (output !== undefined)
        result = evaluated(path, () => output.template.evaluate({ ...values, result }));
    } catch (thrown) {
      if (!(thrown instanceof StepFailed)) throw thrown;
      const settled = thrown.error.step === path ? this.#settled(path) : undefined;
      const { action = "fail" } = step.onError ?? {};
      if (settled !== undefined) result = settled.value;
      else if (action === "fail" || isCut(thrown, signal)) throw thrown;
      else {
        ({ error } = thrown);
        result = action === "default" ? this.#fallback(node, values, path) : null;
      }
    }
    values.steps[id] = { result, error, errors };
    return result;
  }

  #fallback({ fallback }: Node, values: Values, path: string): unknown {
    return evaluated(path, () => fallback?.template.evaluate(values));
  }

  async #body(
    node: Node,
    values: Values,
    path: string,
    prefix: string,
    signal: Cancel,
    errors: StepError[],
  ): Promise<unknown> {
    const { body } = node;
    switch (body.kind) {
      case "tool":
        return this.#hold(path, await this.#perform({ node, body, path, values, signal }));
      case "steps":
        return this.list(body.steps, values, prefix, signal);
      case "switch": {
        const value = evaluated(path, () => body.value.expression.evaluate(values));
        const steps = body.cases.get(caseOf(value)) ?? body.otherwise;
        if (steps !== undefined) return this.list(steps, values, prefix, signal);
        const cases = [...body.cases.keys()].map((name) => JSON.stringify(name)).join(", ");
        throw stepFailed(
          path,
          "definition",
          `there is no case ${short(JSON.stringify(value))}; expected ${cases || "none"}`,
        );
      }
      case "parallel": {
        const results = await allOf(body.steps, node, signal, errors, (inner, inside) =>
          this.#node(inner, values, prefix, inside),
        );
        return Object.fromEntries(body.steps.map(({ id }, index) => [id, results[index] ?? null]));
      }
    }
  }

  async #loop(
    node: Node,
    values: Values,
    path: string,
    signal: Cancel,
    errors: StepError[],
  ): Promise<unknown> {
    const { as, maxParallel, batchSize, maxIterations } = node.step.forEach ?? loopless;
    const list = evaluated(path, () => node.list?.template.evaluate(values));
    if (!Array.isArray(list))
      throw stepFailed(path, "definition", `expected forEach.in to be a list, got ${kindOf(list)}`);
    if (list.length > maxIterations)
      throw stepFailed(
        path,
        "definition",
        `expected at most ${maxIterations} elements (maxIterations), got ${list.length}`,
      );
    this.#count(path, list.length);
    const limit = pLimit(maxParallel);
    const results: unknown[] = [];
    const size = batchSize ?? Math.max(list.length, 1);
    for (let start = 0; start < list.length; start += size) {
      const batch = [...list.slice(start, start + size).entries()];
      const one = ([offset, item]: (typeof batch)[number], inside: Cancel): Promise<unknown> => {
        const index = start + offset;
        const here = `${path}[${index}]`;
        const own = { ...values, steps: { ...values.steps }, [as]: item, index };
        return this.#body(node, own, here, `${here}.`, inside, errors);
      };
      // oxlint-disable-next-line no-await-in-loop -- one batch after the other
      const ended = await allOf(batch, node, signal, errors, one, limit);
      results.push(...ended);
    }
    return results;
  }
}

const loopless = { as: "item", maxParallel: 1, batchSize: undefined, maxIterations: 0 };

/**
 * Does `work` for all items, as many at once as `limit` lets, and waits until all have ended. Where the step fails fast, the first
 * failure cancels the others and is thrown; where it collects, null stands for a failed one.
 */
async function allOf<Item>(
  items: readonly Item[],
  { step }: Node,
  outer: Cancel,
  errors: StepError[],
  work: (item: Item, signal: Cancel) => Promise<unknown>,
  limit: (one: () => Promise<unknown>) => Promise<unknown> = (one) => one(),
): Promise<unknown[]> {
  const collects = step.mode === "collect";
  const inside = new Cancel();
  outer.subscribe(inside);
  let first: { readonly thrown: unknown } | undefined;
  const results = await Promise.all(
    items.map((item) =>
      // The next one begins when it is known whether it is wanted.
      limit(async () => {
        try {
          return await work(item, inside);
        } catch (thrown) {
          if (collects && thrown instanceof StepFailed && !isCut(thrown, outer))
            errors.push(thrown.error);
          else {
            // What halts the run says more than a step that was cancelled for it.
            if (
              first === undefined ||
              (thrown instanceof Halted && !(first.thrown instanceof Halted))
            )
              first = { thrown };
            inside.cancel(cancelled("another step has failed"));
          }
          return null;
        }
      }),
    ),
  );
  outer.unsubscribe(inside);
  if (first !== undefined) throw first.thrown;
  return results;
}

/**
 * Whether a step failed since it, or all, is to end, which nothing swallows. A step that failed by itself is taken as
 * before, so that a run that is cancelled and driven anew comes by all that it has begun.
 */
const isCut = (thrown: StepFailed, { reason }: Cancel): boolean =>
  thrown instanceof TooMuch || (reason !== undefined && thrown.error.code === "cancelled");

/** The value of a condition. */
export function truth(
  step: string,
  key: string,
  evaluate: (values: Record<string, unknown>) => unknown,
  values: Record<string, unknown>,
): boolean {
  const value = evaluated(step, () => evaluate(values));
  if (typeof value === "boolean") return value;
  throw stepFailed(step, "definition", `expected ${key} to be true or false, got ${kindOf(value)}`);
}

const caseOf = (value: unknown): string =>
  typeof value === "string" ? value : (JSON.stringify(value) ?? "null");

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "null";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}
