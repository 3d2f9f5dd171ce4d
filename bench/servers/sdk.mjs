// The same server as most are written: with the SDK, on stdin and stdout.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";
import { callTool } from "./tools.mjs";

const server = new McpServer({ name: "sdk", version: "1.0.0" });
for (const [name, inputSchema] of Object.entries({
  echo: { text: z.string() },
  look_up: { text: z.string() },
  payload: { bytes: z.number().int() },
}))
  server.registerTool(
    name,
    { inputSchema, annotations: { readOnlyHint: name !== "echo" } },
    (given) => callTool(name, given),
  );
await server.connect(new StdioServerTransport());
