import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { mismatch } from "../../src/front/stateless-headers.ts";
import { tool } from "../support/calls.ts";
import { metaOf } from "../support/stateless.ts";

const inputSchema = {
  type: "object",
  properties: {
    region: { type: "string", "x-mcp-header": "Region" },
    place: { type: "object", properties: { floor: { type: "integer", "x-mcp-header": "Floor" } } },
    dry: { type: "boolean", "x-mcp-header": "Dry" },
  },
};
/** Finds the one tool, with that schema. */
const finding = (schema: JsonObject) => (name: string) =>
  name === "up__do" ? tool({ definition: { name, inputSchema: schema } }) : undefined;
const find = finding(inputSchema);

/** No client may call it by HTTP. */
const wrongSchema = {
  type: "object",
  properties: {
    region: { type: "string", "x-mcp-header": "Region" },
    share: { type: "number", "x-mcp-header": "Share" },
  },
};

/** A call of the tool with these arguments, and its headers as they should be, with some otherwise. */
function check(
  args: JsonObject,
  headers: Record<string, string | undefined>,
  schema: JsonObject = inputSchema,
) {
  const params = { name: "up__do", arguments: args, _meta: metaOf() };
  return mismatch(
    {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "up__do",
      ...headers,
    },
    { method: "tools/call", params },
    finding(schema),
  );
}

const encoded = (text: string): string => `=?base64?${Buffer.from(text).toString("base64")}?=`;

describe("the headers that repeat what is in a request", () => {
  it("fit where they say the same", () => {
    expect(check({}, {})).toBeUndefined();
    expect(check({ region: "a" }, { "mcp-param-region": "a" })).toBeUndefined();
    expect(check({ place: { floor: 42 } }, { "mcp-param-floor": "42.0" })).toBeUndefined();
    expect(check({ dry: false }, { "mcp-param-dry": "false" })).toBeUndefined();
    expect(check({ region: null }, {})).toBeUndefined();
  });

  it("may be encoded", () => {
    const headers = { "mcp-name": encoded("up__do"), "mcp-param-region": encoded(" Łódź\n") };
    expect(check({ region: " Łódź\n" }, headers)).toBeUndefined();
    expect(check({ region: "=?base64?x" }, { "mcp-param-region": "=?base64?x" })).toBeUndefined();
  });

  it.each([
    ["no version", {}, { "mcp-protocol-version": undefined }],
    ["another version", {}, { "mcp-protocol-version": "2027-01-01" }],
    ["no method", {}, { "mcp-method": undefined }],
    ["a method in other letters", {}, { "mcp-method": "Tools/Call" }],
    ["an encoded method", {}, { "mcp-method": encoded("tools/call") }],
    ["no name", {}, { "mcp-name": undefined }],
    ["another name", {}, { "mcp-name": "up__other" }],
    ["no argument", { region: "a" }, {}],
    ["another argument", { region: "a" }, { "mcp-param-region": "b" }],
    ["an argument that the body lacks", {}, { "mcp-param-region": "b" }],
    ["base64 without its end", { region: "Hello" }, { "mcp-param-region": "=?base64?SGVsbG8?=" }],
    ["base64 with other letters", { region: "x" }, { "mcp-param-region": "=?base64?eA!!?=" }],
    ["letters that headers cannot hold", { region: "é" }, { "mcp-param-region": "é" }],
    ["nothing for a number", { place: { floor: 0 } }, { "mcp-param-floor": "" }],
  ])("do not fit with %s", (_, args, headers) => {
    expect(check(args, headers)).toMatch(/header/);
  });

  it("are not asked for where the schema may not ask for them", () => {
    expect(check({ region: "a", share: 0.5 }, {}, wrongSchema)).toBeUndefined();
  });

  it("are not compared with what the body lacks, which is told as such", () => {
    const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call" };
    expect(mismatch(headers, { method: "tools/call", params: {} }, find)).toBeUndefined();
    expect(mismatch(headers, { method: "tools/call" }, find)).toBeUndefined();
  });

  it("name the resource that is read, and the task that is asked for", () => {
    const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "resources/read" };
    const read = { method: "resources/read", params: { uri: "x:1" } };
    expect(mismatch(headers, read, find)).toMatch(/Mcp-Name header is missing/);
    expect(mismatch({ ...headers, "mcp-name": "x:1" }, read, find)).toBeUndefined();
    const task = { method: "tasks/get", params: { taskId: "t" } };
    const other = { ...headers, "mcp-method": "tasks/get", "mcp-name": "u" };
    expect(mismatch(other, task, find)).toMatch(/Mcp-Name/);
  });
});
