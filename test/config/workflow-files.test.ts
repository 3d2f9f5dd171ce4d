import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError } from "../../src/config/problems.ts";
import { readWorkflows } from "../../src/config/workflow-files.ts";
import { outcomeOf } from "../support/calls.ts";

let folder = "";
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "holdfast-workflows-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

/** What is wrong, less the folder's name. */
async function problems(files: Record<string, string>): Promise<string> {
  write(files);
  const error = await outcomeOf(readWorkflows(folder));
  if (!(error instanceof ConfigError)) return expect.unreachable("nothing is wrong");
  return error.message.replaceAll(join(folder, "/"), "");
}

const steps = '"steps": [{"id": "a", "tool": "t"}]';

describe("readWorkflows", () => {
  it("has none where there is no such folder", async () => {
    expect(await readWorkflows(join(folder, "gone"))).toEqual({ workflows: new Map(), files: [] });
  });

  it("takes JSON with comments and YAML, by the names of the files", async () => {
    write({
      "b.json": `{ // a comment\n "kind": "saga", ${steps} }`,
      "a.yaml": "kind: chain\nsteps:\n  - id: a\n    tool: t\n    arguments: { n: 1 }\n",
      "c.yml": `kind: chain\n${steps.replace('"steps"', "steps")}`,
      "notes.txt": "not ours",
    });
    const { workflows, files } = await readWorkflows(folder);
    expect(files).toEqual(["a.yaml", "b.json", "c.yml"].map((name) => join(folder, name)));
    expect([...workflows].map(([name, { kind }]) => [name, kind])).toEqual([
      ["a", "chain"],
      ["b", "saga"],
      ["c", "chain"],
    ]);
    expect(workflows.get("a")?.definition.steps).toMatchObject([{ id: "a", arguments: { n: 1 } }]);
  });

  it.each<[string, Record<string, string>, string | RegExp]>([
    ["no kind", { "a.json": `{${steps}}` }, 'a.json: kind: expected "chain" or "saga"'],
    ["no object", { "a.yaml": "- 1" }, "a.yaml: expected an object: a definition with its kind"],
    ["nothing in it", { "a.yaml": "" }, "a.yaml: expected an object: a definition with its kind"],
    [
      "a name that cannot be a tool's",
      { "a b.json": `{"kind": "chain", ${steps}}` },
      "a b.json: expected 1 to 40 of the characters A-Z, a-z, 0-9, _ and - as its name",
    ],
    [
      "the name of another file",
      { "a.json": `{"kind": "chain", ${steps}}`, "a.yml": `{"kind": "chain", ${steps}}` },
      "a.yml: another file in the folder has the same name",
    ],
    [
      "a misspelt key, with its line",
      { "a.json": `{"kind": "chain",\n ${steps},\n "ouput": 1}` },
      /^a\.json:3:\d+: ouput: unknown key; did you mean "output"\?$/,
    ],
    [
      "a step that is wrong",
      {
        "a.yaml": `kind: chain\n${steps.replace('"steps"', "steps")}\noutput: \${{ steps.b.result }}`,
      },
      /^a\.yaml: output: there is no step "b"; done here: a$/,
    ],
    ["bad JSON", { "a.json": '{"kind": }' }, /^a\.json:1:\d+: /],
    ["bad YAML, with its line", { "a.yaml": "kind: chain\nsteps: [\n" }, /^a\.yaml:\d+:\d+: /],
    ["two documents", { "a.yaml": "kind: chain\n---\nkind: saga\n" }, /^a\.yaml.*document/],
    ["more aliases than anybody means", { "a.yaml": bomb() }, /^a\.yaml: .*alias/],
    ["very deep YAML", { "a.yaml": `kind: chain\nsteps: ${"[".repeat(20_000)}` }, /^a\.yaml/],
    [
      "very deep JSON",
      { "a.json": `{"kind": "chain", "steps": ${"[".repeat(20_000)}` },
      /^a\.json/,
    ],
    [
      "a very deep step",
      {
        "a.json": `{"kind": "chain", "steps": ${'[{"id": "a", "steps": '.repeat(3000)}[]${"}]".repeat(3000)}}`,
      },
      /^a\.json/,
    ],
  ])("says where it is wrong: %s", async (_, files, wanted) => {
    expect(await problems(files)).toMatch(wanted);
  });
});

function bomb(): string {
  const levels = Array.from({ length: 12 }, (_, n) =>
    n === 0 ? "a0: &a0 [x, x]" : `a${n}: &a${n} [${`*a${n - 1}, `.repeat(9)}]`,
  );
  return `kind: chain\n${levels.join("\n")}\n`;
}
