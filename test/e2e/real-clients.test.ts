import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { MCPServerStdio } from "@openai/agents";
import { MCPClient } from "mcp-client";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { main, root, temporaryFolder } from "../support/gateway.ts";

const run = promisify(execFile);
const file = join(root, "servers.json");
const command = process.execPath;
const args = [main, "--config", file];

const sum = "everything__get-sum";
const numbers = { a: 2, b: 40 };
const answer = { content: [{ type: "text", text: "The sum of 2 and 40 is 42." }] };

/** Some of each server of servers.json, by which a client shows that it has them all. */
const some = [sum, "filesystem__read_text_file", "memory__read_graph"];

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

  it("work with the Inspector's command line: list and call", async () => {
    const inspector = async (...rest: string[]): Promise<JsonObject> => {
      const cli = join(root, "node_modules/.bin/mcp-inspector");
      // Its own --config would take ours; in this folder ours is found without.
      const { stdout } = await run(cli, ["--cli", command, main, ...rest], { cwd: root });
      return JSON.parse(stdout) as JsonObject;
    };
    const { tools } = (await inspector("--method", "tools/list")) as { tools: JsonObject[] };
    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(some));
    const call = ["--method", "tools/call", "--tool-name", sum];
    expect(await inspector(...call, "--tool-arg", "a=2", "--tool-arg", "b=40")).toMatchObject(
      answer,
    );
  });

  it("work with the AI SDK's client: list and call", async () => {
    const transport = new Experimental_StdioMCPTransport({ command, args, cwd: root });
    const client = await createMCPClient({ transport });
    const tools = await client.tools();
    expect(Object.keys(tools)).toEqual(expect.arrayContaining(some));
    const options = { messages: [], toolCallId: "1" };
    expect(await tools[sum]?.execute(numbers, options)).toMatchObject(answer);
    await client.close();
  });

  it("work with mcp-client: list and call", async () => {
    const client = new MCPClient({ name: "test", version: "1.0.0" });
    await client.connect({ type: "stdio", command, args, cwd: root });
    const tools = await client.getAllTools();
    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(some));
    expect(await client.callTool({ name: sum, arguments: numbers })).toMatchObject(answer);
    await client.close();
  });

  it("work with the OpenAI agents' client: list and call", async () => {
    const server = new MCPServerStdio({ name: "holdfast", command, args, cwd: root });
    await server.connect();
    const tools = await server.listTools();
    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(some));
    expect(await server.callTool(sum, numbers)).toMatchObject(answer.content);
    await server.close();
  });

  it("work with mcporter: list and call", async () => {
    const config = join(temporaryFolder(), "mcporter.json");
    writeFileSync(
      config,
      JSON.stringify({ mcpServers: { holdfast: { command, args, cwd: root } } }),
    );
    const mcporter = async (...rest: string[]): Promise<JsonObject> => {
      const cli = join(root, "node_modules/.bin/mcporter");
      const { stdout } = await run(cli, ["--config", config, ...rest], { cwd: root });
      return JSON.parse(stdout) as JsonObject;
    };
    const { tools } = (await mcporter("list", "holdfast", "--json")) as { tools: JsonObject[] };
    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(some));
    const call = ["call", `holdfast.${sum}`, "a=2", "b=40", "--output", "json"];
    expect(await mcporter(...call)).toMatchObject(answer);
  });
});
