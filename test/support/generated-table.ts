import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { root } from "./gateway.ts";

/** An option, as JSON Schema has it. */
export interface Option {
  readonly default?: unknown;
  readonly description?: string;
  readonly type?: string;
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Option>>;
  readonly anyOf?: readonly Option[];
  readonly allOf?: readonly Option[];
}

const heads = ["| option | default | meaning |", "| --- | --- | --- |"];

/** A row for an option. */
export const row = (name: string, { default: value, description }: Option): string => {
  const shown = value === undefined ? "" : `\`${JSON.stringify(value)}\``;
  return `| \`${name}\` | ${shown} | ${cell(description)} |`;
};

export const cell = (text = ""): string => text.replaceAll("|", "\\|");

/** Without what the formatter of the file decides: how wide columns are. */
const bare = (text: string): string =>
  text.replaceAll(/ +/g, " ").replaceAll(/-{3,}/g, "---").trim();

/** Compares the table between the comment that begins with `<!-- NAME:` and its end; UPDATE=1 writes it. */
export function expectTable(path: string, name: string, rows: readonly string[]): void {
  const file = join(root, path);
  const text = readFileSync(file, "utf8");
  const found = new RegExp(`(<!-- ${name}: [^>]*-->)([^]*?)(<!-- /${name} -->)`).exec(text);
  const [whole = "", begin, now = "", end] = found ?? [];
  const table = [...heads, ...rows].join("\n");
  if (process.env["UPDATE"] === "1")
    writeFileSync(
      file,
      text.replace(whole, () => `${begin}\n\n${table}\n\n${end}`),
    );
  else expect(bare(now)).toBe(bare(table));
}
