// A process that runs servers and keeps records of them, as a gateway does, from the TypeScript sources.
//   node stubborn-owner.mjs RECORDS_FOLDER JSON    JSON: the programs
// It prints "recorded" when all are in its record. When stdin says "exit", it exits without ending them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { createViteServer } from "vitest/node";

const [folder, json] = process.argv.slice(2);
const programs = JSON.parse(json);
const vite = await createViteServer({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  configFile: false,
  logLevel: "silent",
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, watch: null, ws: false },
});
const { PidRecords } = await vite.ssrLoadModule("/src/upstream/pid-records.ts");
const { ServerProcess } = await vite.ssrLoadModule("/src/upstream/process.ts");

const records = new PidRecords(folder, (problem) => process.stderr.write(`${problem}\n`));
const servers = programs.map((program) => new ServerProcess(program, () => {}, records));

const recorded = () =>
  readdirSync(folder)
    .filter((name) => name.startsWith(`${process.pid}-`) && name.endsWith(".json"))
    .some(
      (name) =>
        JSON.parse(readFileSync(join(folder, name), "utf8")).servers.length === servers.length,
    );
await records.written();
process.stdout.write(recorded() ? "recorded\n" : "not recorded\n");
process.stdin.on("data", () => process.exit(0));
// So that nothing stays when a test is broken.
setTimeout(() => process.exit(1), 120_000);
