import { describe, expect, it } from "vitest";
import { fitInput } from "../../src/workflows/input.ts";
import { deep } from "../support/calls.ts";

const n = { type: "number" };

describe("fitInput", () => {
  it("puts defaults in, and leaves what it was given as it was", async () => {
    const given = { a: {} };
    const schema = {
      properties: { n: { ...n, default: 3 }, a: { properties: { b: { default: "x" } } } },
    };
    expect(await fitInput(schema, given)).toEqual({ input: { n: 3, a: { b: "x" } } });
    expect(given).toEqual({ a: {} });
  });

  it("tells all that is wrong", async () => {
    const schema = { properties: { n, l: { items: n } }, required: ["m"] };
    expect(await fitInput(schema, { n: "x", l: [1, "y"] })).toEqual({
      problems: [
        "input: must have required property 'm'",
        "input.n: must be number",
        "input.l.1: must be number",
      ],
    });
  });

  it("tells the first of very many", async () => {
    const fitted = await fitInput(
      { properties: { l: { items: n } } },
      { l: Array(5000).fill("x") },
    );
    const { problems = [] } = fitted as { problems?: string[] };
    expect(problems).toHaveLength(21);
    expect(problems.at(-1)).toBe("input: 4980 more");
  });

  it.each<[object]>([
    [{ $ref: "https://example.com/away" }],
    [{ properties: { a: { pattern: "(" } } }],
    [{ type: "nonsense" }],
  ])("says that a schema cannot be used: %j", async (schema) => {
    const fitted = await fitInput({ ...schema }, {});
    expect(fitted).toMatchObject({
      problems: [expect.stringMatching(/^the inputSchema cannot be used: /)],
    });
  });

  it("takes any object where nothing is said, and nothing but objects", async () => {
    expect(await fitInput({}, { a: [1] })).toEqual({ input: { a: [1] } });
    expect(await fitInput({ type: "array" }, {})).toEqual({ problems: ["input: must be array"] });
  });

  it("is not held up by a pattern that backtracks", async () => {
    const at = performance.now();
    const schema = { properties: { a: { pattern: "^(a+)+$" } } };
    expect(await fitInput(schema, { a: `${"a".repeat(40)}!` })).toHaveProperty("problems");
    expect(performance.now() - at).toBeLessThan(2000);
  });

  it("gives a verdict on a schema that calls itself asynchronous", async () => {
    const schema = { $async: true, properties: { n } };
    expect(await fitInput(schema, { n: "x" })).toEqual({ problems: ["input.n: must be number"] });
  });

  it("never rejects, however deep the input and the schema are", async () => {
    expect(await fitInput({}, deep())).toBeDefined();
    let schema: object = {};
    for (let depth = 0; depth < 20_000; depth++) schema = { properties: { a: schema } };
    expect(await fitInput({ ...schema }, {})).toBeDefined();
  });
});
