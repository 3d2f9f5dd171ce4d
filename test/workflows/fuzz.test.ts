import { Ajv } from "ajv";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import type { Path } from "../../src/config/problems.ts";
import { Cancel } from "../../src/cancel.ts";
import { checkTools } from "../../src/workflows/check-tools.ts";
import { parseDefinition } from "../../src/workflows/parse.ts";
import { planOf, writesOf } from "../../src/workflows/plan.ts";
import { allNodes, type Code, type Node, type Program } from "../../src/workflows/program.ts";
import { evaluated, walk, type Task } from "../../src/workflows/walk.ts";
import { outcomeOf } from "../support/calls.ts";
import { doorTo, type Scripted } from "../support/workflows.ts";

const seeded = { seed: 20_261_121, interruptAfterTimeLimit: 3000, markInterruptAsFailure: false };

const names = ["x", "y", "z"];
const typeNames = ["string", "number", "boolean", "array", "object"];
const types = fc.constantFrom(...typeNames).map((type) => ({ type }));
const members = fc.record(Object.fromEntries(names.slice(0, 2).map((name) => [name, types])));
const closed = (properties: object, required: readonly string[]) => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
});
/** All members of inputs and results are there: whether an optional one is, only values show. */
const full = members.map((properties) => closed(properties, Object.keys(properties)));
const toolSet = fc
  .array(fc.record({ taken: members, given: full }), { minLength: 2, maxLength: 3 })
  .map((all) =>
    Object.fromEntries(
      all.map(({ taken, given }, n): [string, Scripted] => [
        `t${n}`,
        {
          effect: n === 0 ? "read" : "idempotent",
          definition: { inputSchema: closed(taken, []), outputSchema: given },
        },
      ]),
    ),
  );

const ids = fc.constantFrom("a", "b", "c", "d");
const member = fc.constantFrom(...names);
/**
 * A path. What an expression makes of a path is not among them: in `steps.a.result.x + 1` the checker does not
 * know what kind x is, nor does it know what a list holds or what `item` is.
 */
const paths = fc.oneof(
  member.map((name) => `input.${name}`),
  fc.tuple(ids, member).map(([id, name]) => `steps.${id}.result.${name}`),
);
const whole = paths.map((text) => `\${{ ${text} }}`);
const values = fc.oneof(
  { weight: 3, arbitrary: whole },
  {
    weight: 1,
    arbitrary: fc.tuple(whole, ids).map(([text, id]) => `${text} and \${{ steps.${id}.result }}`),
  },
  fc.constantFrom<unknown>(
    "text",
    1,
    true,
    [1],
    { v: 1 },
    "${{ index }}",
    "${{ step.key }}",
    "${{ 1 + 1 }}",
  ),
);
const args = fc.dictionary(member, values, { maxKeys: 2 });
const tool = fc.constantFrom("t0", "t1", "t2");

/** What stands around a body; mostly nothing. What an output or a default makes of a result, only values show. */
const around = fc.oneof(
  { weight: 8, arbitrary: fc.constant({}) },
  fc.record({ when: fc.oneof(paths, fc.constant("input.x == null")) }),
  fc.record({
    forEach: fc.record({
      in: fc.oneof(whole, fc.constant([1, 2])),
      as: fc.constantFrom("e", "f"),
    }),
  }),
  fc.constantFrom<JsonObject>({ onError: { action: "continue" } }, { mode: "collect" }),
);

const undo = fc.record({
  tool,
  arguments: fc.dictionary(
    member,
    fc.oneof(
      member.map((name) => `\${{ result.${name} }}`),
      member.map((name) => `\${{ arguments.${name} }}`),
      values,
    ),
    { maxKeys: 2 },
  ),
});

const { step } = fc.letrec((tie) => {
  const inner = fc.array(tie("step"), { minLength: 1, maxLength: 2 });
  const cases = fc.dictionary(member, inner, { maxKeys: 2 });
  const body = fc.oneof(
    { maxDepth: 3 },
    fc.record({ tool, arguments: args, compensate: fc.oneof(fc.constant(false), undo) }),
    fc.record({ steps: inner }),
    fc.record({ parallel: inner }),
    fc.record({ switch: fc.record({ value: paths, cases, default: inner }) }),
  );
  return {
    step: fc.tuple(ids, body, around).map(([id, one, more]) => ({ id, ...one, ...more })),
  };
});

/** With ids that are each there once, so that many definitions come through. */
const definitions = fc
  .record({
    inputSchema: full,
    steps: fc.array(step as fc.Arbitrary<JsonObject>, { minLength: 1, maxLength: 3 }),
    output: fc.oneof(whole, fc.constant("${{ input }}")),
  })
  .map((written) => ({ ...written, steps: renamed(written.steps) }));

/** The ids in their order, with the letters kept as far as they go: a, b, c, d, then more. */
function renamed(steps: readonly JsonObject[]): JsonObject[] {
  let count = 0;
  const visit = (one: unknown): unknown => {
    if (Array.isArray(one)) return one.map(visit);
    if (typeof one !== "object" || one === null) return one;
    const { id, ...rest } = one as JsonObject;
    const name = "abcd"[count] ?? `n${count}`;
    if (id !== undefined) count++;
    const inner = Object.fromEntries(
      Object.entries(rest).map(([key, value]) => [
        key,
        ["steps", "parallel", "switch", "cases", "default", ...names].includes(key)
          ? visit(value)
          : value,
      ]),
    );
    return id === undefined ? inner : { id: name, ...inner };
  };
  return steps.map((one) => visit(one) as JsonObject);
}

/** A value that a schema allows; the choice grows with each. */
function valuesFrom(start: number): (schema: JsonObject) => unknown {
  let count = start;
  const make = (schema: JsonObject): unknown => {
    count++;
    switch (schema["type"]) {
      case "string":
        return ["", "x", "true", "text"][count % 4];
      case "number":
        return [0, 1, -2.5, 1e9][count % 4];
      case "boolean":
        return count % 2 === 0;
      case "array":
        return Array.from({ length: count % 3 }, (_, n) => n);
      default:
        return Object.fromEntries(
          Object.entries((schema["properties"] ?? {}) as Record<string, JsonObject>).map(
            ([name, inner]) => [name, make(inner)],
          ),
        );
    }
  };
  return make;
}

/** Takes out what a finding is about. */
function without(definition: JsonObject, path: Path): void {
  const last = path.at(-1);
  const parent = path
    .slice(0, -1)
    .reduce<JsonObject | undefined>((value, key) => value?.[key] as JsonObject, definition);
  if (typeof parent !== "object") return;
  if (last === "tool") parent["tool"] = "t0";
  else if (last === "value") parent["value"] = "'x'";
  else if (last === "in") parent["in"] = [1, 2];
  else if (typeof last === "number" && Object.hasOwn(parent[last] ?? {}, "id"))
    (parent[last] as JsonObject)["compensate"] = false;
  else if (last !== undefined) delete parent[last];
}

/** The program of what is left of a definition when all is taken out that a check finds; undefined for nothing. */
function accepted(written: JsonObject, tools: Record<string, Scripted>): Program | undefined {
  const definition = structuredClone(written);
  for (let round = 0; round < 8; round++) {
    const { program, problems, warnings } = parseDefinition(definition, "saga");
    const found = [...problems, ...warnings];
    if (found.length === 0 && program !== undefined) {
      const more = checkTools(program, "saga", doorTo(tools).door);
      found.push(...more.problems, ...more.warnings);
      if (found.length === 0) return program;
    }
    for (const finding of found) without(definition, finding.path);
  }
  return undefined;
}

/** Whether a member is read of the result of a switch, or of what ends with one: which case it is, only values show. */
function readsSwitch(program: Program): boolean {
  const text = JSON.stringify(program.definition);
  const endsOpen = ({ body }: Node): boolean =>
    body.kind === "switch" || (body.kind === "steps" && body.steps.slice(-1).some(endsOpen));
  return allNodes(program.steps).some(
    (node) => endsOpen(node) && text.includes(`steps.${node.id}.result.`),
  );
}

const ajv = new Ajv({ strict: false });

/** Runs a program on tools that keep to their schemas, and tells what went wrong that could have been seen. */
async function wrongs(program: Program, tools: Record<string, Scripted>, seed: number) {
  const make = valuesFrom(seed);
  const told: string[] = [];
  const check = (
    code: Code,
    name: string,
    scope: Record<string, unknown>,
    path: string,
  ): JsonObject => {
    const given = evaluated(path, () => code.template.evaluate(scope)) as JsonObject;
    const schema = tools[name]?.definition?.["inputSchema"] as JsonObject;
    if (!ajv.validate(schema, given))
      told.push(`${path} sends ${name} ${JSON.stringify(given)}: ${ajv.errorsText()}`);
    return given;
  };
  const perform = ({ body, path, values: known }: Task): Promise<unknown> => {
    const scope = { ...known, step: { key: `k.${path}` } };
    const sent = check(body.args, body.tool, scope, path);
    const result = make(tools[body.tool]?.definition?.["outputSchema"] as JsonObject);
    if (body.undo !== undefined && body.undo !== false)
      check(body.undo.args, body.undo.tool, { ...scope, arguments: sent, result }, `undo:${path}`);
    return Promise.resolve(result);
  };
  const input = make(program.definition.inputSchema);
  const end = await outcomeOf(walk(program, { input, event: null }, perform, new Cancel()));
  return end instanceof Error ? [...told, end.message] : told;
}

describe("the checks of a definition", () => {
  it("never throw, whatever JSON they are given", () => {
    const any = fc.oneof(fc.jsonValue({ maxDepth: 6 }), fc.record({ steps: fc.jsonValue() }));
    fc.assert(
      fc.property(any, fc.constantFrom("chain", "saga"), (written, kind) => {
        expect(Array.isArray(parseDefinition(written, kind).problems)).toBe(true);
      }),
      { ...seeded, numRuns: 2000 },
    );
  });

  it("and the plan never throw, whatever schemas the tools have", () => {
    const schema = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          type: fc.jsonValue({ maxDepth: 1 }),
          properties: fc.dictionary(member, fc.jsonValue({ maxDepth: 2 })),
          required: fc.jsonValue({ maxDepth: 1 }),
          enum: fc.jsonValue({ maxDepth: 1 }),
          items: fc.jsonValue({ maxDepth: 1 }),
          additionalProperties: fc.jsonValue({ maxDepth: 1 }),
        },
        { requiredKeys: [] },
      ),
    );
    fc.assert(
      fc.property(
        definitions,
        schema,
        schema,
        fc.jsonValue(),
        (definition, taken, given, input) => {
          const { program } = parseDefinition(definition, "saga");
          if (program === undefined) return;
          const over = { definition: { inputSchema: taken, outputSchema: given } };
          const { door } = doorTo({ t0: { effect: "read", ...over }, t1: over });
          const { problems } = checkTools(program, "saga", door);
          const lines = writesOf(planOf(program, "saga", { x: input }, door));
          expect([problems, lines].every(Array.isArray)).toBe(true);
        },
      ),
      { ...seeded, numRuns: 1000 },
    );
  });

  it("let through, without a warning, only what fails for no reason that they could have seen", async () => {
    let came = 0;
    await fc.assert(
      fc.asyncProperty(definitions, toolSet, fc.nat(100), async (definition, tools, seed) => {
        const program = accepted(definition, tools);
        if (program === undefined || readsSwitch(program)) return;
        came++;
        expect(await wrongs(program, tools, seed)).toEqual([]);
      }),
      { ...seeded, numRuns: 3000 },
    );
    expect(came).toBeGreaterThan(20);
  });
});
