// Runs the conformance suites against the fixture, directly and through Holdfast, and their client scenarios with
// Holdfast as the client:
//   node test/conformance/run.mjs [--ways direct,http,stdio,client] [--json FILE] [--keep FOLDER]
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  clientScenarios,
  runClientScenario,
  runServerSuite,
  suiteNode,
  suites,
} from "./suites.mjs";
import { judge, notApplicable, tableOf } from "./verdicts.mjs";
import { ways } from "./ways.mjs";

const all = [...Object.keys(ways), "client"];
/** Client scenarios at a time: each is three processes, which mostly wait for one another. */
const AT_ONCE = 4;

const { values } = parseArgs({
  options: {
    ways: { type: "string", default: all.join(",") },
    json: { type: "string" },
    keep: { type: "string" },
  },
});
const chosen = values.ways.split(",");
const expected = JSON.parse(await readFile(new URL("expected.json", import.meta.url), "utf8"));
const folder = values.keep ?? (await mkdtemp(join(tmpdir(), "holdfast-conformance-")));
const node = await suiteNode();

/** The checks of each scenario, by way and suite. */
const results = {};
for (const way of chosen)
  results[way] = way === "client" ? await runClients() : await runServers(way, ways[way]);

const met = new Set();
const serverRows = rowsOf(chosen.filter((way) => way !== "client"));
const clientRows = rowsOf(chosen.filter((way) => way === "client"));
const say = (text) => process.stdout.write(`${text}\n`);
for (const [title, tried] of [
  ["server scenario", serverRows.filter(isTried)],
  ["client scenario", clientRows.filter(isTried)],
])
  if (tried.length > 0) say(`${tableOf(tried, title)}\n`);
for (const [way, left] of Object.entries(expected.notApplicable))
  if (chosen.includes(way))
    for (const [scenario, why] of Object.entries(left)) say(`– ${scenario} (${way}): ${why}`);

const rows = [...serverRows, ...clientRows];
const counts = { passed: 0, failed: 0, expected: 0, notApplicable: 0 };
for (const { suite, scenario, cells } of rows)
  for (const [way, { state, problems }] of Object.entries(cells)) {
    counts[state] += 1;
    for (const problem of problems) say(`${suite} ${scenario} (${way}): ${problem.slice(0, 400)}`);
  }
const stale =
  chosen.length === all.length ? expected.failures.filter((entry) => !met.has(entry)) : [];
for (const entry of stale) say(`expected to fail, but passes: ${JSON.stringify(entry)}`);
counts.failed += stale.length;
if (counts.passed === 0) say("nothing ran");
say(`${counts.passed} passed, ${counts.failed} failed, ${counts.expected} failed as expected`);

if (values.json !== undefined)
  await writeFile(values.json, JSON.stringify({ counts, rows }, undefined, 2));
if (values.keep === undefined) await rm(folder, { recursive: true, force: true });
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;

async function runServers(way, open) {
  const { url, close } = await open(join(folder, way));
  const found = {};
  try {
    for (const suite of suites)
      found[suite.name] = await runServerSuite(node, suite, url, join(folder, way, suite.name));
  } finally {
    await close();
  }
  return found;
}

async function runClients() {
  const command = `${process.execPath} ${join(import.meta.dirname, "client.mjs")}`;
  const found = {};
  const queue = [];
  for (const suite of suites) {
    found[suite.name] = new Map();
    for (const scenario of await clientScenarios(node, suite)) queue.push({ suite, scenario });
  }
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { suite, scenario } = next;
      const place = join(folder, "client", suite.name, scenario.replaceAll("/", "-"));
      const left = notApplicable(expected, "client", scenario) !== undefined;
      const run = () => runClientScenario(node, suite, scenario, command, place);
      found[suite.name].set(scenario, left ? [] : await run());
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return found;
}

function isTried({ cells }) {
  return Object.values(cells).some(({ state }) => state !== "notApplicable");
}

function rowsOf(columns) {
  const found = [];
  for (const { name: suite } of suites)
    for (const scenario of new Set(columns.flatMap((way) => [...results[way][suite].keys()]))) {
      const direct = columns.includes("direct") ? results.direct[suite].get(scenario) : undefined;
      const cells = {};
      for (const way of columns) {
        const checks = results[way][suite].get(scenario);
        cells[way] = judge({ suite, way, scenario }, checks, direct, expected, met);
      }
      found.push({ suite, scenario, cells });
    }
  return found;
}
