// The client that the suites' client scenarios test: Holdfast, with the suite's server as its one upstream.
//   node test/conformance/client.mjs http://localhost:1234/mcp
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Gateway } from "./client-gateway.mjs";
import { scenarios } from "./client-scenarios.mjs";

const url = process.argv.at(-1);
const use = scenarios[process.env.MCP_CONFORMANCE_SCENARIO] ?? ((gateway) => gateway.useAll());
const folder = await mkdtemp(join(tmpdir(), "holdfast-conformance-"));
const gateway = await Gateway.start(folder, { url });
if (!(await gateway.succeeds(use))) {
  process.stderr.write(`${gateway.problem}\n`);
  process.exitCode = 1;
}
await gateway.close();
await rm(folder, { recursive: true, force: true });
