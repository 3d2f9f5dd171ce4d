import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { checkTemplate } from "../../src/expressions/template.ts";
import { chain, saga } from "../../src/workflows/definition.ts";
import type { Definition, Step } from "../../src/workflows/definition.ts";
import { root, startGateway, temporaryFolder } from "../support/gateway.ts";

const examples = readdirSync(join(root, "examples"), { recursive: true, encoding: "utf8" })
  .filter((path) => basename(path) === "servers.json")
  .map((path) => join("examples", path))
  .toSorted();

interface Definitions {
  readonly chains?: Readonly<Record<string, unknown>>;
  readonly sagas?: Readonly<Record<string, unknown>>;
}

interface Tool {
  readonly name: string;
  readonly inputSchema: JsonObject;
  readonly annotations?: JsonObject;
}

interface Use {
  readonly tool: string;
  readonly arguments: JsonObject;
}

/** Every definition of a file by its name. */
function definitionsOf(file: string): [name: string, Definition][] {
  const { chains = {}, sagas = {} } = JSON.parse(
    readFileSync(join(root, file), "utf8"),
  ) as Definitions;
  return [
    ...Object.entries(chains).map(([name, each]): [string, Definition] => [
      name,
      chain.parse(each),
    ]),
    ...Object.entries(sagas).map(([name, each]): [string, Definition] => [name, saga.parse(each)]),
  ];
}

/** A step and all steps within it. */
const allOf = (step: Step): Step[] => [
  step,
  ...[
    ...(step.steps ?? []),
    ...(step.parallel ?? []),
    ...Object.values(step.switch?.cases ?? {}).flat(),
    ...(step.switch?.default ?? []),
  ].flatMap(allOf),
];

/** What a step calls to do, undo and find out. */
const usesOf = ({ tool, arguments: given, compensate, verify }: Step): Use[] => [
  ...(tool === undefined ? [] : [{ tool, arguments: given }]),
  ...(compensate ? [compensate] : []),
  ...(verify === undefined ? [] : [verify]),
];

const ajv = new Ajv({ strict: false, allErrors: true, verbose: true });

/** What is wrong with the arguments as far as they hold no expressions. */
function misfits({ inputSchema }: Tool, given: JsonObject): string[] {
  const validate = ajv.compile({ ...inputSchema, additionalProperties: false });
  validate(given);
  const isExpression = (value: unknown) => typeof value === "string" && value.includes("${{");
  const errors = (validate.errors ?? []).filter(({ data }) => !isExpression(data));
  return errors.map(({ instancePath, message }) => `${instancePath} ${message}`);
}

it("there are examples", () => {
  expect(examples.flatMap(definitionsOf).map(([name]) => name)).toEqual([
    "bug_report",
    "order_report",
    "place_order",
  ]);
});

describe.each(examples)("%s", (file) => {
  const definitions = definitionsOf(file);
  const steps = definitions.flatMap(([, definition]) => definition.steps).flatMap(allOf);

  it("has an input schema and right expressions in every definition", () => {
    const names = steps.flatMap(({ forEach }) => forEach?.as ?? []);
    const scope = ["input", "steps", "step", "arguments", "result", "index", ...names];
    for (const [name, definition] of definitions) {
      expect(() => ajv.compile(definition.inputSchema)).not.toThrow();
      expect(checkTemplate(definition, { scope, where: name })).toEqual([]);
    }
  });

  it("calls tools that its servers have, with arguments that these take", async () => {
    const env = { LEDGER_DIR: temporaryFolder() };
    const client = startGateway(join(root, file), env);
    await client.initialize();
    const tools = new Map(
      ((await client.tools()) as unknown as Tool[]).map((tool) => [tool.name, tool]),
    );
    for (const use of steps.flatMap(usesOf)) {
      const tool = tools.get(use.tool);
      if (tool === undefined) throw new Error(`no tool ${use.tool}`);
      expect({ [use.tool]: misfits(tool, use.arguments) }).toEqual({ [use.tool]: [] });
    }
    for (const { verify, compensate } of steps) {
      if (verify !== undefined)
        expect(tools.get(verify.tool)?.annotations).toMatchObject({ readOnlyHint: true });
      if (compensate)
        expect(tools.get(compensate.tool)?.annotations).toMatchObject({ idempotentHint: true });
    }
  });
});
