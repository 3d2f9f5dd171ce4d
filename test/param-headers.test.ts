import { describe, expect, it } from "vitest";
import type { JsonObject } from "../src/call.ts";
import { headerValue, nameOf, paramHeaders, paramValue } from "../src/param-headers.ts";

const headersOf = (properties: JsonObject, over: JsonObject = {}) =>
  paramHeaders({ name: "t", inputSchema: { type: "object", properties, ...over } });
const at = (name: unknown, type: unknown = "string"): JsonObject => ({
  type,
  "x-mcp-header": name,
});

describe("paramHeaders", () => {
  it("finds annotated properties at any depth", () => {
    const inner = { type: "object", properties: { zone: at("Zone", "integer"), plain: {} } };
    expect(headersOf({ region: at("Region"), place: inner })).toEqual([
      { header: "Mcp-Param-Region", path: ["region"] },
      { header: "Mcp-Param-Zone", path: ["place", "zone"] },
    ]);
    expect(paramHeaders({ name: "t" })).toEqual([]);
  });

  it("takes a property of that name, and data, for what they are", () => {
    expect(headersOf({ "x-mcp-header": { type: "string" } })).toEqual([]);
    expect(headersOf({ a: { default: at("Region"), enum: [at("Region")] } })).toEqual([]);
  });

  it.each<[string, JsonObject, JsonObject?]>([
    ["nothing", { a: at("") }],
    ["no text", { a: at(7) }],
    ["a space", { a: at("My Region") }],
    ["a line break", { a: at("A\r\nB") }],
    ["letters beyond ASCII", { a: at("Région") }],
    ["a number", { a: at("A", "number") }],
    ["a list", { a: at("A", "array") }],
    ["several types", { a: at("A", ["string", "null"]) }],
    ["another of its name", { a: at("Region"), b: at("region") }],
    ["an item", { a: { type: "array", items: at("A") } }],
    ["a branch", { a: { anyOf: [at("A")] } }],
    ["a property of a branch", {}, { allOf: [{ properties: { a: at("A") } }] }],
    ["a definition", {}, { $defs: { a: at("A") } }],
    ["the whole", {}, at("A", "object")],
  ])("refuses a tool that wants a header of %s", (_, properties, over) => {
    expect(headersOf(properties, over)).toEqual(expect.any(String));
  });
});

describe("header values", () => {
  it.each([
    ["us-west1", "us-west1"],
    ["us west 1", "us west 1"],
    ["", ""],
    ["Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="],
    [" padded ", "=?base64?IHBhZGRlZCA=?="],
    ["line1\nline2", "=?base64?bGluZTEKbGluZTI=?="],
    ["=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="],
  ])("of %j are %j", (text, value) => {
    expect(headerValue(text)).toBe(value);
  });

  it("are taken from the arguments by their path, and left out where there is none", () => {
    const args = { a: { b: 42 }, yes: false, nothing: null, list: [1] };
    const paths = [["a", "b"], ["yes"], ["nothing"], ["list"], ["a"], ["gone", "b"]];
    expect(paths.map((path) => paramValue(args, path))).toEqual(["42", "false", ...Array(4)]);
  });

  it("name what a request is about", () => {
    expect(nameOf("tools/call", { name: "é" })).toBe("=?base64?w6k=?=");
    expect(nameOf("resources/read", { uri: "file:///a%20b" })).toBe("file:///a%20b");
    expect(nameOf("tasks/get", { taskId: "t1" })).toBe("t1");
    expect(nameOf("tools/list", { name: "a" })).toBeUndefined();
  });
});
