import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { main, root } from "../support/gateway.ts";
import { RawClient } from "../support/raw-client.ts";

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
