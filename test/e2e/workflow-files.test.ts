import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { configFile, odd, startGateway } from "../support/gateway.ts";
import { textOf, type RawClient } from "../support/raw-client.ts";

const step = { id: "one", tool: "odd__echo", arguments: { said: "${{ input.word }}" } };
const chain = (description: string): string =>
  JSON.stringify({ kind: "chain", description, steps: [step] });
const yamlSaga = `kind: saga
description: from YAML
steps:
  - id: one
    tool: odd__echo
    arguments: { said: "\${{ input.word }}" }
    compensate: false
`;

/** A gateway with a folder for definitions, and what its client sees of them. */
async function started() {
  const file = configFile({
    builtins: ["status"],
    log: { level: "info" },
    mcpServers: { odd: odd({ tools: "echo" }) },
  });
  const folder = join(dirname(file), "workflows");
  const client = startGateway(file);
  await client.initialize();
  await client.tools();
  return { client, folder, put: (name: string, text: string) => put(join(folder, name), text) };
}

function put(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** Definitions by their descriptions. */
async function derived(client: RawClient): Promise<Record<string, unknown>> {
  const tools = (await client.tools()).filter(({ name }) => String(name).startsWith("holdfast__"));
  return Object.fromEntries(
    tools
      .filter(({ name }) => name !== "holdfast__status")
      .map(({ name, description }) => [String(name).replace("holdfast__", ""), description]),
  );
}

/** Does it, and waits until the client is told that the list is another one. */
async function changing(client: RawClient, change: () => void): Promise<number> {
  const isTold = ({ method }: JsonObject): boolean => method === "notifications/tools/list_changed";
  const before = client.messages.filter(isTold).length;
  const begun = performance.now();
  change();
  await client.until(() => client.messages.filter(isTold).length > before);
  return performance.now() - begun;
}

describe("the folder of chains and sagas", () => {
  it("is read anew when a file comes, changes or goes, also where there was no folder", async () => {
    const { client, folder, put: write } = await started();
    expect(await derived(client)).toEqual({});
    const took = await changing(client, () => write("say.json", chain("first")));
    expect(took).toBeLessThan(3000);
    expect(await derived(client)).toEqual({ say: "first" });
    expect(textOf(await client.call("holdfast__say", { word: "hi" }))).toContain("hi");
    await changing(client, () => write("say.json", chain("second")));
    await changing(client, () => write("more.yaml", yamlSaga));
    expect(await derived(client)).toEqual({ say: "second", more: "from YAML" });
    await changing(client, () => renameSync(join(folder, "say.json"), join(folder, "tell.json")));
    expect(await derived(client)).toEqual({ tell: "second", more: "from YAML" });
    await changing(client, () => rmSync(folder, { recursive: true }));
    expect(await derived(client)).toEqual({});
  });

  it("changes nothing while a file of it is broken, tells file, line and column, and goes on when it is mended", async () => {
    const { client, folder, put: write } = await started();
    await changing(client, () => write("say.json", chain("first")));
    write("say.json", chain("second").replace("odd__echo", "odd__echo\\q"));
    await client.until(() => client.stderr.includes("the one before stays"));
    write("new.json", `{\n  "kind": "chain",\n  "steps": [{ "id": "one", "tol": "odd__echo" }]\n}`);
    write("say.json", chain("third"));
    await client.until(() => client.stderr.includes("tol"));
    expect(client.stderr).toContain(`${join(folder, "new.json")}:3:28: steps[0].tol: `);
    expect(client.stderr).toContain('did you mean "tool"?');
    expect(await derived(client)).toEqual({ say: "first" });
    write("odd.yaml", yamlSaga.replace("tool:", "tol:"));
    write("new.json", chain("mended"));
    await client.until(() => client.stderr.includes("odd.yaml:5:10: steps[0].tol: "));
    await changing(client, () => rmSync(join(folder, "odd.yaml")));
    expect(await derived(client)).toEqual({ say: "third", new: "mended" });
  });
});
