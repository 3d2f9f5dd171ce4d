// What a saga costs over the same calls made one by one, through the same gateway, side by side in one run:
//   node bench/sagas.mjs [--runs=200] [--rounds=5]
// A saga of three steps that change something, each of which is written down before and after it is done
// (SQLite, synchronous=FULL). The servers do nothing but answer.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const options = Object.fromEntries(
  process.argv.slice(2).map((argument) => argument.replace(/^--/, "").split("=")),
);
const runs = Number(options.runs ?? 200);
const rounds = Number(options.rounds ?? 5);

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
const config = join(folder, "servers.json");
const server = join(root, "test/support/odd-server.mjs");
const servers = ["one", "two", "three"];
const tool = (name) => `${name}__echo`;
const steps = servers.map((name) => ({
  id: name,
  tool: tool(name),
  arguments: { text: "${{ input.text }}" },
  compensate: false,
}));
const entry = { command: process.execPath, args: [server] };
writeFileSync(
  config,
  JSON.stringify({
    mcpServers: Object.fromEntries(servers.map((name) => [name, entry])),
    sagas: { three: { steps } },
    log: { level: "error" },
  }),
);

const client = new Client({ name: "bench", version: "1" });
await client.connect(
  new StdioClientTransport({
    command: process.execPath,
    args: [join(root, "dist/main.js"), "serve", "--config", config],
    env: { ...process.env, HOLDFAST_STATE_DIR: join(folder, "state") },
    stderr: "inherit",
  }),
);
await client.listTools();

const given = { text: "The quick brown fox" };
const call = async (name) => {
  const result = await client.callTool({ name, arguments: given });
  if (result.isError) throw new Error(result.content[0].text);
};
const rows = {
  async calls() {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, as the saga does
    for (const name of servers) await call(tool(name));
  },
  saga: () => call("holdfast__three"),
};

async function measure(run) {
  const begin = performance.now();
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (let n = 0; n < runs; n++) await run();
  return (performance.now() - begin) / runs;
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const seen = { calls: [], saga: [] };
for (let round = 0; round <= rounds; round++)
  for (const [name, run] of Object.entries(rows)) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const ms = await measure(run);
    if (round > 0) seen[name].push(ms); // the first warms up
  }
const [calls, saga] = [median(seen.calls), median(seen.saga)];
process.stdout.write(
  `ms for three calls ${calls.toFixed(2)}, for the saga of them ${saga.toFixed(2)}: ` +
    `${(saga - calls).toFixed(2)} more, × ${(saga / calls).toFixed(1)} ` +
    `(medians of ${rounds} rounds of ${runs})\n`,
);
await client.close();
rmSync(folder, { recursive: true, force: true });
