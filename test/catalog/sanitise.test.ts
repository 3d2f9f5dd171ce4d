import {
  PromptSchema,
  ResourceSchema,
  ResourceTemplateSchema,
  ToolSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { acceptLists } from "../../src/catalog/accept.ts";
import type { JsonObject, Lists, ToolDefinition } from "../../src/call.ts";
import { isObject } from "../../src/wire.ts";
import { recorder } from "../support/calls.ts";

const acceptList = async (list: keyof Lists, items: readonly unknown[]) => {
  const { report, events } = recorder();
  const accepted: readonly JsonObject[] = await acceptLists("up", report)(
    list,
    items as ToolDefinition[],
  );
  const problems = events.map((event) => ("problem" in event ? event.problem : ""));
  return { accepted, problems };
};
const accept = (...tools: object[]) => acceptList("tools", tools);

const nested = (levels: number): unknown =>
  JSON.parse(`${"[".repeat(levels)}${"]".repeat(levels)}`);

const icons = [{ src: "data:,", mimeType: "image/png", sizes: ["48x48"], theme: "dark" }];
const shared = { title: "T", description: "D", icons, _meta: { a: [1] }, unknown: { b: [null] } };
const annotations = { audience: ["user"], priority: 0.5, lastModified: "2026-01-01T00:00:00Z" };

/** Of each list: an item that has all that MCP knows, and how the SDK reads one. */
const valid = {
  tools: {
    item: {
      name: "tool",
      ...shared,
      inputSchema: {
        type: "object",
        properties: { a: { type: "string" }, b: {} },
        required: ["a"],
        "x-own": 1,
      },
      outputSchema: {
        type: "object",
        properties: { a: { type: "string", pattern: "^a" }, b: { $ref: "#/$defs/b" } },
        required: ["a"],
        $defs: { b: { type: "number" } },
      },
      annotations: {
        title: "T",
        readOnlyHint: true,
        destructiveHint: false,
        idempotentHint: true,
        openWorldHint: false,
        "x-hint": 1,
      },
      execution: { taskSupport: "optional" },
    },
    schema: ToolSchema,
  },
  prompts: {
    item: {
      name: "prompt",
      ...shared,
      arguments: [{ name: "a", title: "A", description: "D", required: true }, { name: "b" }],
    },
    schema: PromptSchema,
  },
  resources: {
    item: { name: "r", uri: "x:1", ...shared, mimeType: "text/plain", size: 1, annotations },
    schema: ResourceSchema,
  },
  resourceTemplates: {
    item: { name: "t", uriTemplate: "x:{a}", ...shared, mimeType: "text/plain", annotations },
    schema: ResourceTemplateSchema,
  },
};
const lists = Object.keys(valid) as (keyof Lists)[];

/** Every place in a value. */
const places = (value: unknown): (string | number)[][] => [
  [],
  ...(Array.isArray(value) || isObject(value)
    ? Object.entries(value).flatMap(([key, inner]) =>
        places(inner).map((place) => [Array.isArray(value) ? Number(key) : key, ...place]),
      )
    : []),
];

/** A copy with another value at one place; undefined takes away what is there. */
function changed(value: unknown, [key, ...rest]: (string | number)[], other: unknown): unknown {
  if (key === undefined) return other;
  const copy: unknown = structuredClone(value);
  if (!Array.isArray(copy) && !isObject(copy)) return copy;
  const inner = copy as JsonObject;
  inner[key] = changed(inner[key], rest, other);
  if (inner[key] === undefined) delete inner[key];
  return Array.isArray(copy) ? copy.filter(() => true) : copy;
}

const wrong = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, true, false, 0, 5, Infinity, "", "x"),
  fc.constantFrom<unknown>([], {}, [1], ["a"], [{}], [null]),
  fc.constantFrom({ a: true }, { a: false, b: null }, nested(200), { type: ["object"] }),
  fc.jsonValue(),
);

describe("what is accepted", () => {
  it.each(lists)("of %s is what it was, where nothing is wrong with it", async (list) => {
    const { item } = valid[list];
    const { accepted, problems } = await acceptList(list, [item]);
    expect(JSON.stringify(accepted)).toBe(JSON.stringify([item]));
    expect(problems).toEqual([]);
  });

  it.each(lists)("of %s can be read by the MCP SDK, whatever a server lists", async (list) => {
    const { item, schema } = valid[list];
    const ajv = new AjvJsonSchemaValidator();
    const change = fc.tuple(fc.constantFrom(...places(item)), wrong);
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const mutant = changes.reduce<unknown>(
          (value, [place, other]) => changed(value, place, other),
          item,
        );
        if (!isObject(mutant)) return;
        const { accepted, problems } = await acceptList(list, [mutant]);
        for (const one of JSON.parse(JSON.stringify(accepted)) as JsonObject[]) {
          expect(schema.safeParse(one).error).toBeUndefined();
          if (one["outputSchema"] !== undefined)
            ajv.getValidator(one["outputSchema"] as JsonObject);
        }
        if (accepted.length === 0) expect(problems).toHaveLength(1);
      }),
      { numRuns: 500 },
    );
  });
});

describe("acceptLists", () => {
  const inputSchema = { type: "object" };

  it.each<[string, JsonObject, JsonObject]>([
    ["a hint", { annotations: { readOnlyHint: "yes", a: 1 } }, { annotations: { a: 1 } }],
    ["a title of its annotations", { annotations: { title: 5 } }, { annotations: {} }],
    ["its title", { title: null }, {}],
    ["its annotations", { annotations: null }, {}],
    ["its _meta", { _meta: "x" }, {}],
    ["its icons", { icons: null }, {}],
    ["an icon", { icons: [{}, { src: "x", theme: "red" }] }, { icons: [{ src: "x" }] }],
    ["its execution", { execution: null }, {}],
    ["its taskSupport", { execution: { taskSupport: "sometimes" } }, { execution: {} }],
    ["its outputSchema", { outputSchema: null }, {}],
    [
      "names in the required of its outputSchema",
      { outputSchema: { type: "object", required: [1, "a"] } },
      { outputSchema: { type: "object", required: ["a"] } },
    ],
    ["the required of its inputSchema", { inputSchema: { type: "object", required: "a" } }, {}],
    [
      "the properties of its inputSchema",
      { inputSchema: { type: "object", properties: null } },
      {},
    ],
    [
      "a property that is no schema",
      { inputSchema: { type: "object", properties: { a: "string" } } },
      { inputSchema: { type: "object", properties: { a: {} } } },
    ],
  ])("leaves out of a tool what is wrong with it, and says so: %s", async (_, members, left) => {
    const { accepted, problems } = await accept({ name: "t", inputSchema, ...members });
    expect(accepted).toEqual([{ name: "t", inputSchema, ...left }]);
    expect(problems).toHaveLength(1);
  });

  it("writes a property schema of true or false as an object that says the same", async () => {
    const schema = { type: "object", properties: { a: true, b: false } };
    const { accepted, problems } = await accept({
      name: "t",
      inputSchema: schema,
      outputSchema: schema,
    });
    const same = { type: "object", properties: { a: {}, b: { not: {} } } };
    expect(accepted).toEqual([{ name: "t", inputSchema: same, outputSchema: same }]);
    expect(problems).toEqual([]);
  });

  it.each<[keyof Lists, JsonObject, JsonObject | undefined]>([
    ["prompts", { name: "p", description: null }, { name: "p" }],
    ["prompts", { name: "p", arguments: "x" }, { name: "p" }],
    ["prompts", { name: "p", arguments: [{ description: "x" }] }, { name: "p", arguments: [] }],
    ["prompts", { title: "P" }, undefined],
    ["resources", { uri: "x:1", name: "r", mimeType: null }, { uri: "x:1", name: "r" }],
    ["resources", { uri: "x:1" }, undefined],
    ["resources", { uri: 1, name: "r" }, undefined],
    [
      "resources",
      { uri: "x:1", name: "r", annotations: { priority: 2, lastModified: "yesterday" } },
      { uri: "x:1", name: "r", annotations: {} },
    ],
    ["resourceTemplates", { uriTemplate: "x:{a}", name: 5 }, undefined],
  ])("mends %s or leaves them out, and says so: %j", async (list, item, left) => {
    const { accepted, problems } = await acceptList(list, [item]);
    expect(accepted).toEqual(left === undefined ? [] : [left]);
    expect(problems).toHaveLength(1);
  });

  it("names what was wrong", async () => {
    const prompt = { name: "p", icons: [{ src: 5 }], arguments: [{ name: "a", required: "no" }] };
    expect((await acceptList("prompts", [prompt])).problems).toEqual([
      'prompt p: its icons[0] is left out: expected a src, got 5; its arguments[0].required is left out: expected true or false, got "no"',
    ]);
  });

  it.each(lists)("leaves out %s that are nested too deep to be written", async (list) => {
    const { item } = valid[list];
    const { accepted, problems } = await acceptList(list, [
      { ...item, unknown: nested(20_000) },
      { ...item, unknown: nested(123) },
      { ...item, unknown: nested(124) },
    ]);
    expect(accepted).toEqual([{ ...item, unknown: nested(123) }]);
    expect(problems).toHaveLength(1);
  });
});

describe("tools", () => {
  it("leaves a good tool exactly as it is", async () => {
    const tool = {
      name: "good",
      inputSchema: {
        type: "object",
        properties: { a: { anyOf: [{ type: "string" }] } },
        "x-own": 1,
      },
      outputSchema: {
        $id: "same",
        type: "object",
        properties: { a: { type: "string", format: "uri" } },
      },
      execution: { taskSupport: "optional" },
      unknown: true,
    };
    const { accepted, problems } = await accept(tool, { ...tool, name: "same $id" });
    expect(accepted[0]).toEqual(tool);
    expect(problems).toEqual([]);
  });

  it.each([
    ["none", undefined, { type: "object" }],
    ["null", null, { type: "object" }],
    ["a list", [], { type: "object" }],
    ["no type", { properties: { a: {} } }, { type: "object", properties: { a: {} } }],
    ["another type", { type: "string" }, { type: "object" }],
    ["several types", { type: ["object", "null"] }, { type: "object" }],
    ["properties that are a list", { type: "object", properties: [] }, { type: "object" }],
  ])("mends an input schema that is no object schema: %s", async (_, inputSchema, mended) => {
    const { accepted, problems } = await accept({ name: "t", inputSchema });
    expect(accepted).toEqual([{ name: "t", inputSchema: mended }]);
    expect(problems).toHaveLength(1);
  });

  it("joins alternatives at the top of an input schema, so that all that one of them takes is let through", async () => {
    const { accepted } = await accept({
      name: "t",
      inputSchema: {
        type: "object",
        properties: { id: { type: "string" } },
        additionalProperties: false,
        oneOf: [
          { properties: { a: { type: "string" } }, required: ["a"] },
          { properties: { b: { type: "number" } }, required: ["b"] },
        ],
        allOf: [{ required: ["id"] }],
      },
    });
    expect(accepted[0]?.["inputSchema"]).toEqual({
      type: "object",
      properties: { id: { type: "string" }, a: { type: "string" }, b: { type: "number" } },
      required: ["id"],
    });
  });

  it("goes on refusing other properties where no alternative adds one", async () => {
    const inputSchema = {
      type: "object",
      properties: { phone: { type: "string" }, email: { type: "string" } },
      additionalProperties: false,
    };
    const either = [{ required: ["phone"] }, { properties: { email: {} }, required: ["email"] }];
    const { accepted } = await accept({
      name: "t",
      inputSchema: { ...inputSchema, anyOf: either },
    });
    expect(accepted[0]?.["inputSchema"]).toEqual(inputSchema);
  });

  it("leaves out properties that hosts refuse, and the tool where one is required", async () => {
    const properties = { "bad name": {}, good: {} };
    const { accepted, problems } = await accept(
      { name: "optional", inputSchema: { type: "object", properties } },
      { name: "required", inputSchema: { type: "object", properties, required: ["bad name"] } },
    );
    expect(accepted).toEqual([
      { name: "optional", inputSchema: { type: "object", properties: { good: {} } } },
    ]);
    expect(problems[1]).toContain('"bad name"');
  });

  it.each([
    ["a reference to nothing", { type: "object", properties: { a: { $ref: "#/$defs/no" } } }],
    ["a type that is none", { type: "object", properties: { a: { type: "strin" } } }],
    [
      "a pattern that is none",
      { type: "object", properties: { a: { type: "string", pattern: "(" } } },
    ],
    ["a schema of a list", { type: "array" }],
    ["no schema", "object"],
  ])("leaves out an output schema that does not compile: %s", async (_, outputSchema) => {
    const inputSchema = { type: "object" };
    const { accepted, problems } = await accept({ name: "t", inputSchema, outputSchema });
    expect(accepted).toEqual([{ name: "t", inputSchema }]);
    expect(problems).toHaveLength(1);
  });

  it("leaves out a tool without a name, and members of a wrong type", async () => {
    const { accepted, problems } = await accept(
      { inputSchema: { type: "object" } },
      { name: "t", inputSchema: { type: "object" }, title: 3, description: {}, annotations: "x" },
    );
    expect(accepted).toEqual([{ name: "t", inputSchema: { type: "object" } }]);
    expect(problems).toHaveLength(2);
  });

  it("tells one warning for a tool, and not again at the next list", async () => {
    const { report, events } = recorder();
    const take = acceptLists("up", report);
    const bad = { name: "t", inputSchema: [], outputSchema: 3 } as unknown as ToolDefinition;
    await take("tools", [bad]);
    await take("tools", [bad]);
    expect(events).toHaveLength(1);
  });
});
