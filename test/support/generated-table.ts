import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

/**
 * The table that a document has between the comment that begins with `<!-- NAME:` and its end, and the one that
 * it should have. UPDATE=1 writes it.
 */
export function tables(path: string, name: string, rows: readonly string[]) {
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
  const isWritten = process.env["UPDATE"] === "1";
  return { found: bare(isWritten ? table : now), wanted: bare(table) };
}
