// Runs the conformance suites against the fixture, directly and through Holdfast:
//   node test/conformance/run.mjs [--ways direct,http,stdio] [--json FILE] [--keep FOLDER] [SCENARIO …]
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runServerSuite, suiteNode, suites } from "./suites.mjs";
import { judge, tableOf } from "./verdicts.mjs";
import { ways } from "./ways.mjs";

const { values } = parseArgs({
  options: {
    ways: { type: "string", default: Object.keys(ways).join(",") },
    json: { type: "string" },
    keep: { type: "string" },
  },
});
const chosen = values.ways.split(",");
const expected = JSON.parse(await readFile(new URL("expected.json", import.meta.url), "utf8"));
const folder = values.keep ?? (await mkdtemp(join(tmpdir(), "holdfast-conformance-")));
const node = await suiteNode();

const results = {};
for (const way of chosen) {
  const { url, close } = await ways[way](join(folder, way));
  results[way] = {};
  for (const suite of suites)
    results[way][suite.name] = await runServerSuite(node, suite, url, join(folder, way, suite.name));
  await close();
}

const met = new Set();
const rows = [];
for (const { name: suite } of suites) {
  const scenarios = new Set(chosen.flatMap((way) => [...results[way][suite].keys()]));
  if (scenarios.size === 0) throw new Error(`no scenario of ${suite} ran`);
  for (const scenario of scenarios) {
    const direct = results.direct?.[suite].get(scenario);
    const cells = {};
    for (const way of chosen) {
      const checks = results[way][suite].get(scenario);
      cells[way] = judge({ suite, way, scenario }, checks, direct, expected, met);
    }
    rows.push({ suite, scenario, cells });
  }
}

const say = (text) => process.stdout.write(`${text}\n`);
say(tableOf(rows, chosen));
const counts = { passed: 0, failed: 0, expected: 0, notApplicable: 0 };
for (const { suite, scenario, cells } of rows)
  for (const [way, { state, problems }] of Object.entries(cells)) {
    counts[state] += 1;
    for (const problem of problems) say(`${suite} ${scenario} (${way}): ${problem}`);
  }
const all = chosen.length === Object.keys(ways).length;
const stale = all ? expected.failures.filter((entry) => !met.has(entry)) : [];
for (const entry of stale) say(`expected to fail, but passes: ${JSON.stringify(entry)}`);
counts.failed += stale.length;
say(`${counts.passed} passed, ${counts.failed} failed, ${counts.expected} expected to fail`);
if (values.json !== undefined)
  await writeFile(values.json, JSON.stringify({ counts, rows }, undefined, 2));
if (values.keep === undefined) await rm(folder, { recursive: true, force: true });
process.exitCode = counts.failed === 0 ? 0 : 1;
