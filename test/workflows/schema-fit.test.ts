import { describe, expect, it } from "vitest";
import { linesOf } from "../../src/workflows/plan.ts";
import { misfits, schemaAt, typeIn, type JsonType } from "../../src/workflows/schema-fit.ts";

/** Texts such as "<number>" stand for expressions that give a number. */
const typeOf = (text: string): JsonType | undefined =>
  /^<(.*)>$/.exec(text)?.[1] as JsonType | undefined;

const lines = (value: unknown, schema: unknown): string[] =>
  linesOf(misfits(value, schema, ["arguments"], typeOf));

const closed = { properties: { a: { type: "string" } }, additionalProperties: false };

describe("misfits", () => {
  it.each<[unknown, unknown, string[]]>([
    [
      {},
      { required: ["a", "b"] },
      ["a", "b"].map((name) => `arguments: expected "${name}", which is required`),
    ],
    [{ b: 1 }, closed, ["arguments.b: there is no such argument; expected a"]],
    [{ a: 1 }, closed, ["arguments.a: expected a string, got 1"]],
    [
      { a: "<number>" },
      closed,
      ["arguments.a: expected a string, got an expression that gives a number"],
    ],
    [{ a: "<any>" }, closed, []],
    [{ a: null }, { properties: { a: { type: ["number", "null"] } } }, []],
    [{ a: null }, { properties: { a: { type: "number", nullable: true } } }, []],
    [
      { a: [] },
      { properties: { a: { type: "object" } } },
      ["arguments.a: expected an object, got a list"],
    ],
    [
      { a: "x" },
      { properties: { a: { enum: ["y", 1] } } },
      ['arguments.a: expected one of "y", 1, got "x"'],
    ],
    [{ a: "<string>" }, { properties: { a: { enum: ["y"] } } }, []],
    [{ a: 2 }, { properties: { a: { const: 1 } } }, ["arguments.a: expected 1, got 2"]],
    [
      { a: 1.5 },
      { properties: { a: { type: "integer" } } },
      ["arguments.a: expected a whole number, got 1.5"],
    ],
    [{ a: 1 }, { properties: { a: { minimum: 2 } } }, ["arguments.a: expected at least 2, got 1"]],
    [{ a: 3 }, { properties: { a: { maximum: 2 } } }, ["arguments.a: expected at most 2, got 3"]],
    [
      { a: "😀" },
      { properties: { a: { minLength: 2 } } },
      ['arguments.a: expected at least 2 characters, got "😀"'],
    ],
    [
      { a: "abc" },
      { properties: { a: { maxLength: 2 } } },
      ['arguments.a: expected at most 2 characters, got "abc"'],
    ],
    [
      { a: ["x", 1] },
      { properties: { a: { items: { type: "string" } } } },
      ["arguments.a[1]: expected a string, got 1"],
    ],
    [
      { a: ["x", "y"] },
      { properties: { a: { prefixItems: [{ type: "string" }], items: { type: "number" } } } },
      ['arguments.a[1]: expected a number, got "y"'],
    ],
    [
      { x: "y" },
      { additionalProperties: { type: "number" } },
      ['arguments.x: expected a number, got "y"'],
    ],
    [{ x: "y" }, { patternProperties: { x: {} }, additionalProperties: { type: "number" } }, []],
    [{ x: "y" }, { patternProperties: { x: {} }, additionalProperties: false }, []],
    [
      { constructor: 1 },
      { properties: {}, additionalProperties: false },
      [expect.stringContaining("constructor")],
    ],
  ])("of %j and %j", (value, schema, wanted) => {
    expect(lines(value, schema)).toEqual(wanted);
  });

  it.each([
    undefined,
    true,
    "text",
    { type: "any" },
    { type: 5 },
    { type: ["object", "unheard of"] },
    { type: "string", anyOf: [] },
    { type: "string", $ref: "#/x" },
    { required: "a", properties: [], enum: "x" },
  ])("leaves to the server what is not understood: %j", (schema) => {
    expect(lines({ a: 1 }, schema)).toEqual([]);
  });
});

describe("schemaAt", () => {
  const inner = { type: "object", ...closed };
  it.each<[unknown, string[], unknown]>([
    [inner, [], inner],
    [inner, ["a"], { type: "string" }],
    [inner, ["b"], "absent"],
    [inner, ["a", "b"], "absent"],
    [inner, ["constructor"], "absent"],
    [{ properties: {} }, ["a"], undefined],
    [{ type: "array" }, ["a"], undefined],
    [{ type: ["null", "object"], ...closed }, ["b"], "absent"],
    [{ ...closed, patternProperties: {} }, ["b"], undefined],
    [{ ...closed, oneOf: [] }, ["b"], undefined],
    [true, ["a"], undefined],
  ])("of %j at %j", (schema, keys, wanted) => {
    expect(schemaAt(schema, keys)).toEqual(wanted);
  });
});

describe("typeIn", () => {
  it.each<[Parameters<typeof typeIn>[0], JsonType]>([
    [{ type: "integer" }, "number"],
    [{ type: ["integer", "number"] }, "number"],
    [{ type: ["string", "null"] }, "any"],
    [{ type: "strange" }, "any"],
    [{}, "any"],
    ["absent", "any"],
    [undefined, "any"],
  ])("of %j is %s", (schema, wanted) => {
    expect(typeIn(schema)).toBe(wanted);
  });
});
