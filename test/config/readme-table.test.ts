import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { jsonSchema } from "../../src/config/json-schema.ts";

const file = new URL("../../README.md", import.meta.url);
const begin =
  "<!-- options: generated, UPDATE=1 npx vitest run test/config/readme-table.test.ts -->";
const end = "<!-- /options -->";

interface Option {
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly unknown[];
}

interface Policy {
  readonly description?: string;
  readonly anyOf: readonly { readonly properties?: Record<string, Option> }[];
}

/** All options of all policies, as a table in Markdown. */
function table(): string {
  const { definitions } = jsonSchema() as unknown as {
    definitions: { policies: { properties: Record<string, Policy> } };
  };
  const rows = Object.entries(definitions.policies.properties).flatMap(([name, policy]) => {
    const options = policy.anyOf.find(({ properties }) => properties !== undefined)?.properties;
    return [
      `| **${name}** | | ${cell(policy.description)} |`,
      ...Object.entries(options ?? {}).map(
        ([option, { default: value, description }]) =>
          `| \`${name}.${option}\` | \`${JSON.stringify(value)}\` | ${cell(description)} |`,
      ),
    ];
  });
  return ["| option | default | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

const cell = (text = ""): string => text.replaceAll("|", "\\|");

/** Without what the formatter of the file decides: how wide columns are. */
const bare = (text: string): string =>
  text.replaceAll(/ +/g, " ").replaceAll(/-{3,}/g, "---").trim();

test("the README's table of options is what the schema says (UPDATE=1 writes it)", () => {
  const readme = readFileSync(file, "utf8");
  const [before, rest = ""] = readme.split(begin);
  const [now, after] = rest.split(end);
  if (process.env["UPDATE"] === "1")
    writeFileSync(file, `${before}${begin}\n\n${table()}\n\n${end}${after}`);
  else expect(bare(now ?? "")).toBe(bare(table()));
});
