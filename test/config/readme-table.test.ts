import { expect, test } from "vitest";
import { jsonSchema } from "../../src/config/json-schema.ts";
import { cell, tables, row, type Option } from "../support/generated-table.ts";

interface Schema {
  readonly properties: { readonly http: { readonly properties: Record<string, Option> } };
  readonly definitions: { readonly policies: { readonly properties: Record<string, Option> } };
}

/** All options of all policies. */
function rows(): string[] {
  const { definitions } = jsonSchema() as unknown as Schema;
  return Object.entries(definitions.policies.properties).flatMap(([name, policy]) => {
    const options = policy.anyOf?.find(({ properties }) => properties !== undefined)?.properties;
    return [
      `| **${name}** | | ${cell(policy.description)} |`,
      ...Object.entries(options ?? {}).map(([option, about]) => row(`${name}.${option}`, about)),
    ];
  });
}

test("the README's table of options is what the schema says (UPDATE=1 writes it)", () => {
  const { found, wanted } = tables("README.md", "options", rows());
  expect(found).toBe(wanted);
});

test("the same of its options of HTTP", () => {
  const { properties } = (jsonSchema() as unknown as Schema).properties.http;
  const http = Object.entries(properties).map(([name, about]) => row(name, about));
  const { found, wanted } = tables("README.md", "http", http);
  expect(found).toBe(wanted);
});
