// What one writes first with the SDK: a Client for each server, and one Server in front of them.
//   node sdk-minimal.mjs CONFIG
import { readFileSync } from "node:fs";
import process from "node:process";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const info = { name: "sdk-minimal", version: "1.0.0" };
const { mcpServers } = JSON.parse(readFileSync(process.argv[2], "utf8"));

const clients = new Map();
await Promise.all(
  Object.entries(mcpServers).map(async ([prefix, entry]) => {
    const client = new Client(info);
    await client.connect(new StdioClientTransport(entry));
    clients.set(prefix, client);
  }),
);

const server = new Server(info, { capabilities: { tools: {} } });
server.setRequestHandler(ListToolsRequestSchema, async () => {
  const lists = await Promise.all(
    [...clients].map(async ([prefix, client]) => {
      const { tools } = await client.listTools();
      return tools.map((tool) => ({ ...tool, name: `${prefix}__${tool.name}` }));
    }),
  );
  return { tools: lists.flat() };
});
server.setRequestHandler(CallToolRequestSchema, ({ params }) => {
  const [prefix, name] = params.name.split("__");
  return clients.get(prefix).callTool({ name, arguments: params.arguments });
});
process.stdin.on("end", () => process.exit(0));
await server.connect(new StdioServerTransport());
