import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { deep } from "../support/calls.ts";
import { ManifestFile, type Manifest } from "../../src/upstream/manifest.ts";

let folder = "";
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "holdfast-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const manifest = (tool: string): Manifest => ({
  info: { name: "s", version: "1", protocolVersion: "2025-11-25", capabilities: { tools: {} } },
  lists: {
    tools: [{ name: tool, inputSchema: { type: "object" }, unknown: [1] }],
    prompts: [{ name: "p" }],
    resources: [],
    resourceTemplates: [],
  },
});
const transport = { command: "server", env: { TOKEN: "secret-token" } };
const open = (of: unknown = transport, problems: string[] = []): ManifestFile =>
  new ManifestFile(join(folder, "manifests"), of, (problem) => problems.push(problem));

describe("ManifestFile", () => {
  it("gives back what was written last, whole, to the same server only", async () => {
    const file = open();
    expect(file.read()).toBeUndefined();
    file.write(manifest("a"));
    file.write(manifest("b"));
    await file.flush();
    expect(open().read()).toEqual(manifest("b"));
    expect(open({ ...transport, env: { TOKEN: "other" } }).read()).toBeUndefined();
  });

  it("is written whole where two servers that are reached alike write at once", async () => {
    const problems: string[] = [];
    const files = [open(transport, problems), open(transport, problems)];
    for (const file of files) file.write(manifest("a"));
    await Promise.all(files.map((file) => file.flush()));
    expect(problems).toEqual([]);
    expect(open().read()).toEqual(manifest("a"));
  });

  it("is for its owner alone, and holds no secret of how the server is reached", async () => {
    const file = open();
    file.write(manifest("a"));
    await file.flush();
    const [name = ""] = readdirSync(join(folder, "manifests"));
    expect(name).not.toContain("secret");
    expect(statSync(join(folder, "manifests")).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "manifests", name)).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(folder, "manifests"))).toHaveLength(1);
  });

  it.each(["", "{", "[]", '{"info":{}}', '{"lists":3}'])(
    "leaves out what is none: %j",
    async (text) => {
      const file = open();
      file.write(manifest("a"));
      await file.flush();
      const [name = ""] = readdirSync(join(folder, "manifests"));
      writeFileSync(join(folder, "manifests", name), text);
      const problems: string[] = [];
      expect(open(transport, problems).read()).toBeUndefined();
      expect(problems).toHaveLength(1);
    },
  );

  it("tells a folder that cannot be written, and goes on", async () => {
    writeFileSync(join(folder, "manifests"), "a file");
    const problems: string[] = [];
    const file = open(transport, problems);
    file.write(manifest("a"));
    await file.flush();
    expect(problems).toEqual([expect.stringContaining("cannot be written")]);
  });

  it("tells what is nested too deep to be written, and keeps what was there", async () => {
    const problems: string[] = [];
    const file = open(transport, problems);
    file.write(manifest("a"));
    const { info, lists } = manifest("b");
    file.write({ info, lists: { ...lists, resources: [deep()] } });
    await file.flush();
    expect(open().read()).toEqual(manifest("a"));
    expect(problems).toEqual([expect.stringContaining("nested too deep")]);
  });
});
