import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Metafile } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { bundle } from "../scripts/bundle.mjs";

let folder: string;
let outputs: Metafile["outputs"];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdfast-"));
  ({ outputs } = await bundle({ main: "src/main.ts" }, folder));
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** All source files that are loaded with `entry`: those of its file, and of the files that this one imports. */
function loadedWith(entry: string): Set<string> {
  const first = Object.keys(outputs).find((file) => outputs[file]?.entryPoint === entry);
  const files = new Set([first ?? ""]);
  for (const file of files)
    for (const { kind, path, external } of outputs[file]?.imports ?? [])
      if (kind === "import-statement" && external !== true) files.add(path);
  return new Set(
    [...files].flatMap((file) =>
      Object.entries(outputs[file]?.inputs ?? {}).flatMap(([input, { bytesInOutput }]) =>
        bytesInOutput > 0 ? [input] : [],
      ),
    ),
  );
}

const packagesOf = (inputs: ReadonlySet<string>): string[] => {
  const names = [...inputs].map((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1]);
  return [...new Set(names.filter((name) => name !== undefined))].toSorted();
};

/** The packages of a table in docs/startup.md: the first column of all that follows `title`. */
async function tableOf(title: string): Promise<string[]> {
  const text = await readFile("docs/startup.md", "utf8");
  const [table = ""] = text.split(`\n## ${title}\n`)[1]?.split("\n## ") ?? [];
  const rows = [...table.matchAll(/^\| ((?:`[^`]+`(?:, )?)+) /gm)];
  return rows.flatMap(([, cell = ""]) => cell.replaceAll("`", "").split(", ")).toSorted();
}

describe("what a start loads", () => {
  it("before the servers are started: what docs/startup.md says, and no more", async () => {
    expect(packagesOf(loadedWith("src/main.ts"))).toEqual(
      await tableOf("Before the servers are started"),
    );
  });

  it("before the first call: what docs/startup.md says, and no more", async () => {
    const before = packagesOf(loadedWith("src/main.ts"));
    const all = packagesOf(loadedWith("src/commands/serve.ts"));
    expect(all.filter((name) => !before.includes(name))).toEqual(
      await tableOf("Before the first call"),
    );
  });

  it.each([
    "src/ajv.ts",
    "src/commands/demo.ts",
    "src/commands/serve-http.ts",
    "src/config/yaml.ts",
    "src/front/http.ts",
    "src/front/stateless-http.ts",
    "src/front/stateless.ts",
    "src/stores/runs/postgres.ts",
    "src/stores/runs/sqlite.ts",
    "src/stores/runs/worker.ts",
    "src/upstream/http-connector.ts",
    "src/upstream/modern-http-connection.ts",
    "src/upstream/modern-session.ts",
  ])("has no %s in it", (file) => {
    expect([...loadedWith("src/commands/serve.ts")]).not.toContain(file);
  });

  it("finds zod's configuration where it is put before zod is loaded", () => {
    expect(Reflect.get(globalThis, "__zod_globalConfig")).toBe(z.config());
  });
});
