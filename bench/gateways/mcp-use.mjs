// mcp-use is a library: its server.proxy(), by Streamable HTTP.
//   node mcp-use.mjs CONFIG PORT        (a copy in the peer's folder is run, so that imports find the peer)
import { readFileSync } from "node:fs";
import process from "node:process";
import { MCPServer } from "mcp-use/server";

const { mcpServers } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const server = new MCPServer({ name: "mcp-use", version: "1.0.0" });
await server.proxy(mcpServers);
await server.listen(Number(process.argv[3]));
