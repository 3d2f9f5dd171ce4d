import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { parseJsonc } from "../../src/config/jsonc.ts";
import { parseDefinition } from "../../src/workflows/parse.ts";
import { root } from "../support/gateway.ts";

const files = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)];

/** A block of JSON, with the word behind `json`: what it is. */
interface Snippet {
  readonly where: string;
  readonly kind: string;
  readonly text: string;
}

const snippets = files.flatMap((file): Snippet[] => {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/^```jsonc?(?: (\w+))?\n([^]*?)^```$/gm)].map((block) => ({
    where: `${file}:${text.slice(0, block.index).split("\n").length}`,
    kind: block[1] ?? "config",
    text: block[2] ?? "",
  }));
});

/** What the config warns of. Keys without braces around them are a part of one. */
const warningsOf = (text: string, where: string): readonly string[] => {
  const whole = /^\s*"/.test(text) ? `{"mcpServers":{},${text}}` : text;
  return parseConfig(whole, { file: `/${where}`, env: {}, home: "/" }).warnings;
};

const checks: Record<string, (text: string, where: string) => readonly unknown[]> = {
  config: warningsOf,
  override: (text, where) =>
    warningsOf(`"servers":{"x":{"command":"x","tools":{"overrides":{${text}}}}}`, where),
  chain: (text, where) => parseDefinition(parseJsonc(text, where).value, "chain").problems,
  saga: (text, where) => parseDefinition(parseJsonc(text, where).value, "saga").problems,
  step: (text, where) =>
    parseDefinition({ steps: [parseJsonc(text, where).value] }, "saga").problems,
};

test("the documents have snippets", () => {
  expect(snippets.length).toBeGreaterThan(8);
});

test.each(snippets)("$where is a $kind that can be used", ({ where, kind, text }) => {
  expect(checks[kind]?.(text, where)).toEqual([]);
});
