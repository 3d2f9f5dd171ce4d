// @civic/passthrough-mcp-server is a library: its own way between two stdio transports, for the first server.
//   node civic.mjs CONFIG        (a copy in the peer's folder is run, so that imports find the peer)
import { readFileSync } from "node:fs";
import process from "node:process";
import { PassthroughContext } from "@civic/passthrough-mcp-server";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";

const { mcpServers } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [entry] = Object.values(mcpServers);
process.stdin.on("end", () => process.exit(0));
await new PassthroughContext().connect(new StdioServerTransport(), new StdioClientTransport(entry));
