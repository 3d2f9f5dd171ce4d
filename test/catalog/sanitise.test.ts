import { describe, expect, it } from "vitest";
import { acceptTools } from "../../src/catalog/accept.ts";
import type { ToolDefinition } from "../../src/call.ts";
import { recorder } from "../support/calls.ts";

const accept = async (...tools: object[]) => {
  const { report, events } = recorder();
  const accepted = await acceptTools("up", report)(tools as ToolDefinition[]);
  const problems = events.map((event) =>
    event.type === "catalog.tool_problem" ? event.problem : "",
  );
  return { accepted, problems };
};

describe("acceptTools", () => {
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
    const take = acceptTools("up", report);
    const bad = { name: "t", inputSchema: [], outputSchema: 3 } as unknown as ToolDefinition;
    await take([bad]);
    await take([bad]);
    expect(events).toHaveLength(1);
  });
});
