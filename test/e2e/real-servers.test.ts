import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { main, root } from "../support/gateway.ts";
import { RawClient } from "../support/raw-client.ts";

const run = promisify(execFile);
const file = join(root, "servers.json");
const { mcpServers } = JSON.parse(readFileSync(file, "utf8")) as {
  mcpServers: Record<string, { command: string; args: string[] }>;
};
const servers = Object.keys(mcpServers);

/** What is called on each server, with and without the gateway between. None of it changes anything. */
const calls: Record<string, readonly (readonly [tool: string, args: JsonObject])[]> = {
  everything: [
    ["echo", { message: "hi" }],
    ["get-sum", { a: 1, b: 2 }],
    ["get-sum", { a: "x" }],
    ["get-tiny-image", {}],
    ["get-annotated-message", { messageType: "error", includeImage: true }],
    ["get-structured-content", { location: "New York" }],
    ["get-resource-links", { count: 3 }],
    ["get-resource-reference", { resourceType: "Text", resourceId: 1 }],
  ],
  filesystem: [
    ["list_allowed_directories", {}],
    ["list_directory", { path: "examples/files" }],
    ["read_text_file", { path: "examples/files/hello.txt" }],
    ["read_text_file", { path: "/outside" }],
    ["directory_tree", { path: "examples/files" }],
  ],
  memory: [
    ["read_graph", {}],
    ["search_nodes", { query: "nothing" }],
    ["search_nodes", {}],
  ],
  "sequential-thinking": [
    [
      "sequentialthinking",
      { thought: "t", nextThoughtNeeded: false, thoughtNumber: 1, totalThoughts: 1 },
    ],
  ],
};

/** Times differ from run to run. */
const withoutTimes = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value ?? null).replace(/\d+:\d+:\d+ [AP]M|\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME"),
  );

describe("the four servers of servers.json", () => {
  const gateway = new RawClient(process.execPath, [main], { cwd: root });
  beforeAll(async () => {
    await gateway.initialize();
    await gateway.tools();
  });
  afterAll(async () => {
    expect(await gateway.close()).toBe(0);
    expect(gateway.noise).toEqual([]);
  });

  describe.each(servers)("%s", (server) => {
    const { command, args } = mcpServers[server] ?? { command: "", args: [] };
    const direct = new RawClient(command, args, {
      cwd: root,
      env: { PATH: process.env["PATH"], MEMORY_FILE_PATH: join(root, "memory.jsonl") },
    });
    beforeAll(() => direct.initialize().then(() => {}));
    afterAll(() => direct.close());

    it("lists the same tools as without the gateway, but for their names", async () => {
      const prefix = `${server}__`;
      const through = (await gateway.tools()).filter(({ name }) => String(name).startsWith(prefix));
      const renamed = through.map((tool) => ({
        ...tool,
        name: String(tool["name"]).slice(prefix.length),
      }));
      expect(renamed).toEqual(await direct.tools());
      expect(renamed.length).toBeGreaterThan(0);
    });

    it.each(calls[server] ?? [])("answers %s %j as without the gateway", async (tool, input) => {
      const expected = await direct.call(tool, input);
      expect(withoutTimes(await gateway.call(`${server}__${tool}`, input))).toEqual(
        withoutTimes(expected),
      );
    });
  });
});

describe("clients that others wrote", () => {
  it("work with the SDK's client: list, call, progress, cancel", async () => {
    const client = new Client({ name: "test", version: "1.0.0" });
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [main, "--config", file],
      cwd: root,
    });
    await client.connect(transport);
    const { tools } = await client.listTools();
    expect(tools.length).toBeGreaterThanOrEqual(37);
    expect(
      await client.callTool({ name: "everything__get-sum", arguments: { a: 2, b: 40 } }),
    ).toMatchObject({ content: [{ text: "The sum of 2 and 40 is 42." }] });
    const notes: number[] = [];
    const slow = {
      name: "everything__trigger-long-running-operation",
      arguments: { duration: 1, steps: 4 },
    };
    await client.callTool(slow, undefined, { onprogress: ({ progress }) => notes.push(progress) });
    // The SDK's client loses a note that arrives together with the answer, with a gateway or without.
    expect([1, 2, 3, 4].slice(0, notes.length)).toEqual(notes);
    expect(notes.length).toBeGreaterThanOrEqual(3);
    const controller = new AbortController();
    const cancelled = client.callTool(slow, undefined, { signal: controller.signal });
    controller.abort("enough");
    await expect(cancelled).rejects.toThrow(/enough/);
    await client.close();
  });

  const inspector = async (...args: string[]): Promise<JsonObject> => {
    const cli = join(root, "node_modules/.bin/mcp-inspector");
    // Its own --config would take ours; in this folder ours is found without.
    const { stdout } = await run(cli, ["--cli", process.execPath, main, ...args], { cwd: root });
    return JSON.parse(stdout) as JsonObject;
  };

  it("work with the Inspector's command line: list and call", async () => {
    const { tools } = (await inspector("--method", "tools/list")) as { tools: JsonObject[] };
    for (const server of servers)
      expect(tools.some(({ name }) => String(name).startsWith(`${server}__`))).toBe(true);
    const call = ["--method", "tools/call", "--tool-name", "everything__get-sum"];
    expect(await inspector(...call, "--tool-arg", "a=2", "--tool-arg", "b=40")).toMatchObject({
      content: [{ text: "The sum of 2 and 40 is 42." }],
    });
  });
});
