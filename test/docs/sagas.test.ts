import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "../support/gateway.ts";

const text = readFileSync(join(root, "docs/sagas.md"), "utf8");
const rows = text.split("\n").flatMap((line) => {
  const [, file, name] = /\| `(test\/[^`]+)`: (.*?) +\|$/.exec(line) ?? [];
  return file === undefined || name === undefined ? [] : [{ file, name }];
});

it("docs/sagas.md names a test for each invariant", () => {
  expect(rows).toHaveLength(text.split("\n").filter((line) => line.startsWith("| ")).length - 2);
});

it.each(rows)("$file has the test: $name", ({ file, name }) => {
  expect(readFileSync(join(root, file), "utf8")).toContain(`"${name}"`);
});
