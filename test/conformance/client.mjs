// The client that the suites' client scenarios start: node test/conformance/client.mjs URL
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scenarios } from "./client-scenarios.mjs";
import { StdioClient } from "./stdio-client.mjs";
import { configure } from "./ways.mjs";

const scenario = scenarios[process.env.MCP_CONFORMANCE_SCENARIO];
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");
const folder = await mkdtemp(join(tmpdir(), "holdfast-conformance-"));
const client = await StdioClient.open(
  await configure(folder, { url: process.argv.at(-1), prefix: "" }, {}),
);
try {
  await scenario(client, context);
} finally {
  await client.close();
  await rm(folder, { recursive: true, force: true });
}
