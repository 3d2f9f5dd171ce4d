import { readFileSync, writeFileSync } from "node:fs";
import { Ajv } from "ajv";
import { expect, test } from "vitest";
import { jsonSchema } from "../../src/config/json-schema.ts";

const file = new URL("../../servers.schema.json", import.meta.url);

test("servers.schema.json is what the schema says (UPDATE=1 writes it)", () => {
  if (process.env["UPDATE"] === "1") {
    writeFileSync(file, `${JSON.stringify(jsonSchema(), null, 2)}\n`);
  }
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(jsonSchema());
});

/** The path of every option under `schema` that has no description, of its own or where it refers to. */
function undescribed(schema: unknown, path: string): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]: [string, unknown]) => {
    const options = key === "properties" ? Object.entries<object>(Object(value)) : [];
    const bare = options.filter(([, option]) => !("description" in option || "allOf" in option));
    return [...bare.map(([name]) => `${path}/${name}`), ...undescribed(value, `${path}/${key}`)];
  });
}

test("every option has a description", () => {
  expect(undescribed(jsonSchema(), "")).toEqual([]);
});

test("options show their default and range", () => {
  const attemptMs = { default: 30_000, minimum: 1, maximum: 86_400_000 };
  const timeout = { anyOf: [{ const: false }, { properties: { attemptMs } }] };
  expect(jsonSchema()).toMatchObject({ definitions: { policies: { properties: { timeout } } } });
});

const accepts = new Ajv({ strict: false }).compile(jsonSchema());

test.each<[string, object]>([
  ["an empty file", {}],
  ["a file of ours", { mcpServers: { a: { command: "x", policies: { timeout: false } } } }],
  ["keys that are not ours", { globalShortcut: "", servers: { a: { url: "https://x", dev: {} } } }],
  ["coming keys", { mcpServers: {}, policies: { retry: {}, timeout: { other: 1 } } }],
])("editors accept %s", (_, content) => {
  expect(accepts(content)).toBe(true);
});

test.each<[string, object]>([
  ["a wrong type", { mcpServers: { a: { command: 5 } } }],
  ["a value out of range", { policies: { timeout: { attemptMs: 0 } } }],
  ["a wrong word", { log: { level: "loud" } }],
])("editors refuse %s", (_, content) => {
  expect(accepts(content)).toBe(false);
});
