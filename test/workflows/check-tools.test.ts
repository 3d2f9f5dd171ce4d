import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { checkTools, type Tools } from "../../src/workflows/check-tools.ts";
import { linesOf } from "../../src/workflows/plan.ts";
import type { RunKind } from "../../src/workflows/run-store.ts";
import { doorTo, programOf, type Scripted } from "../support/workflows.ts";

const string = { type: "string" };
const object = (properties: JsonObject, over: JsonObject = {}): JsonObject => ({
  type: "object",
  properties,
  ...over,
});
const closed = { additionalProperties: false };

const tools: Record<string, Scripted> = {
  shop__create: {
    definition: {
      inputSchema: object(
        { name: string, n: { type: "number" } },
        { ...closed, required: ["name"] },
      ),
      outputSchema: object({ id: string, sub: object({ x: {} }, closed) }, closed),
    },
  },
  shop__cancel: {
    effect: "idempotent",
    definition: { inputSchema: object({ id: string }, closed) },
  },
  shop__delete: { effect: "write" },
  shop__get: {
    effect: "read",
    definition: {
      outputSchema: object({ state: string }),
      inputSchema: object({ n: { type: "number" } }),
    },
  },
};

function found(
  steps: JsonObject[],
  over: JsonObject = {},
  kind: RunKind = "saga",
  more: Partial<Tools> = {},
) {
  const all: Tools = { ...doorTo(tools).door, ...more };
  const { problems, warnings } = checkTools(programOf({ steps, ...over }, kind), kind, all);
  return { problems: linesOf(problems), warnings: linesOf(warnings) };
}

const problems = (...args: Parameters<typeof found>): string[] => found(...args).problems;

const create = (over: JsonObject = {}): JsonObject => ({
  id: "a",
  tool: "shop__create",
  arguments: { name: "x" },
  compensate: false,
  ...over,
});
const get = (v: unknown, over: JsonObject = {}): JsonObject => ({
  id: "g",
  tool: "shop__get",
  arguments: { v },
  ...over,
});

describe("the tools of a definition", () => {
  it("are there, or the nearest are told", () => {
    const compensate = { tool: "shop__cancell" };
    expect(problems([create({ tool: "shop__creat", compensate })])).toEqual([
      'steps[0].tool: there is no tool "shop__creat"; the nearest are shop__create, shop__get, shop__cancel',
      'steps[0].compensate.tool: there is no tool "shop__cancell"; the nearest are shop__cancel, shop__create, shop__delete',
    ]);
  });

  it("are none of those that a workflow cannot use", () => {
    const find = () => ({ refused: "it is one of Holdfast's own" });
    expect(problems([get(1)], {}, "chain", { find })).toEqual([
      "steps[0].tool: it is one of Holdfast's own",
    ]);
  });

  it("do not come to call themselves, or too many of each other", () => {
    expect(problems([get(1)], {}, "chain", { depth: () => Infinity })).toEqual([
      "steps[0].tool: shop__get comes to call itself",
    ]);
    expect(problems([get(1)], {}, "chain", { depth: () => 4 })).toEqual([
      "steps[0].tool: expected at most 4 chains and sagas in each other",
    ]);
    expect(problems([get(1)], {}, "chain", { depth: () => 3 })).toEqual([]);
  });

  it("are told in no time where the name is huge", () => {
    const names = Array.from({ length: 1000 }, (_, n) => `server__tool_number_${n}`);
    const [line = ""] = problems([get(1, { tool: "x".repeat(1_000_000) })], {}, "chain", {
      names: () => names,
    });
    expect(line.length).toBeLessThan(500);
  });

  it("that look whether a step happened only read", () => {
    const verify = { tool: "shop__delete", happened: "true" };
    expect(problems([create({ verify })])).toEqual([
      "steps[0].verify.tool: shop__delete does not only read (test)",
    ]);
  });
});

describe("what changes something in a saga", () => {
  const bare = { id: "a", tool: "shop__create", arguments: { name: "x" } };
  const told =
    'steps[0]: shop__create changes something (write: test): expected "compensate", or "compensate": false where there is nothing to undo';

  it("says how it is undone, or that it is not", () => {
    expect(problems([bare])).toEqual([told]);
    expect(problems([create()])).toEqual([]);
    expect(problems([bare], {}, "chain")).toEqual([]);
    expect(problems([get(1)])).toEqual([]);
  });

  it("need not say so from the pivot on", () => {
    expect(
      problems([
        { ...bare, pivot: true },
        { ...bare, id: "b" },
      ]),
    ).toEqual([]);
    expect(problems([bare, { ...bare, id: "b", pivot: true }])).toEqual([told]);
  });

  it("is undone by what can be called again, or a warning says so", () => {
    const { problems: none, warnings } = found([create({ compensate: { tool: "shop__delete" } })]);
    expect([none, warnings]).toEqual([
      [],
      [
        "steps[0].compensate.tool: shop__delete is not idempotent: a compensation is called at least once, and may be called again",
      ],
    ]);
  });
});

describe("arguments", () => {
  it.each<[JsonObject, string[]]>([
    [{}, ['steps[0].arguments: expected "name", which is required']],
    [
      { name: "x", size: 1 },
      ["steps[0].arguments.size: there is no such argument; expected name, n"],
    ],
    [{ name: 5 }, ["steps[0].arguments.name: expected a string, got 5"]],
    [
      { name: "${{ 1 + 1 }}" },
      ["steps[0].arguments.name: expected a string, got an expression that gives a number"],
    ],
    [
      { name: "x", n: "n is ${{ 1 }} of ${{ 2 }}" },
      ["steps[0].arguments.n: expected a number, got an expression that gives a string"],
    ],
    [
      { name: "x", n: "${{ input.n }} }}" },
      ["steps[0].arguments.n: expected a number, got an expression that gives a string"],
    ],
    [
      { name: "${{ input.n }}" },
      ["steps[0].arguments.name: expected a string, got an expression that gives a number"],
    ],
    [
      { name: "${{ step }}" },
      ["steps[0].arguments.name: expected a string, got an expression that gives an object"],
    ],
    [{ name: "${{ step.key }}", n: "${{ input.n }}" }, []],
    [{ name: "${{ input.other }}" }, []],
  ])("%j", (args, wanted) => {
    const inputSchema = object({ n: { type: "integer" } });
    expect(problems([create({ arguments: args })], { inputSchema })).toEqual(wanted);
  });

  it("of what undoes and looks fit, too", () => {
    const step = create({
      compensate: { tool: "shop__cancel", arguments: { id: "${{ result.sub }}", x: 1 } },
      verify: { tool: "shop__get", arguments: { n: "${{ step.key }}" }, happened: "true" },
    });
    expect(problems([step])).toEqual([
      "steps[0].compensate.arguments.id: expected a string, got an expression that gives an object",
      "steps[0].compensate.arguments.x: there is no such argument; expected id",
      "steps[0].verify.arguments.n: expected a number, got an expression that gives a string",
    ]);
  });

  it("of an expression whose step may have no result are left to the values", () => {
    const steps = [
      create({ when: "input.x" }),
      create({ id: "b", arguments: { name: "${{ steps.a.result }}" } }),
    ];
    expect(problems(steps)).toEqual([]);
    const told = problems([create(), steps[1] ?? {}]);
    expect(told).toEqual([
      "steps[1].arguments.name: expected a string, got an expression that gives an object",
    ]);
  });
});

describe("members of results", () => {
  const absent = (shown: string): string => `${shown}: the tool's outputSchema has no such member`;

  it("are there, wherever they are read", () => {
    const step = create({
      output: "${{ result.q }}",
      compensate: { tool: "shop__cancel", arguments: { id: "${{ result.idd }}" } },
      verify: { tool: "shop__get", happened: "result.sate == 'x'", result: "${{ result.state }}" },
    });
    const { problems: lines, warnings } = found([step]);
    expect(lines).toEqual([
      `steps[0].output: ${absent("result.q")}`,
      `steps[0].compensate.arguments.id: ${absent("result.idd")}`,
    ]);
    expect(warnings).toEqual([
      "steps[0].verify.happened: result.sate: the tool's outputSchema does not name it",
    ]);
  });

  it.each([
    ["steps.a.result.id", undefined],
    ["steps.a.result.sub.x", undefined],
    ["steps.a.result.sub.x.y", undefined],
    ["steps.a.result.idd", absent("steps.a.result.idd")],
    ["steps.a.result.sub.z", absent("steps.a.result.sub.z")],
    ["steps.a.result.id.z", absent("steps.a.result.id.z")],
  ])("%s", (expression, problem) => {
    const at = "steps[1].arguments.v[0]";
    const wanted = problem === undefined ? [] : [`${at}: ${problem}`];
    expect(problems([create(), get([`\${{ ${expression} }}`])])).toEqual(wanted);
    expect(problems([create()], { output: `\${{ ${expression} }}` })).toEqual(
      wanted.map((line) => line.replace(at, "output")),
    );
  });

  it.each([
    ["a loop", { forEach: { in: [1] } }],
    ["an output", { output: { z: 1 } }],
    ["a default", { onError: { action: "default", default: { z: 1 } } }],
  ])("are not those of the tool where there is %s", (_, over) => {
    expect(problems([create(over), get("${{ steps.a.result.z }}")])).toEqual([]);
  });
});
