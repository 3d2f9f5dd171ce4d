// What a call costs Holdfast, beside the least that a gateway can cost, in one run of about 20 s:
//   npm run bench:guard [-- --write]
// The two take turns on one CPU, with the same number of calls; the median of the ratios of their CPU time is
// steady where the machine is busy with other things. It is a report: only what cannot be measured fails.
// --write makes what is measured the reference.
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { cpus } from "node:os";
import { inFlight } from "./driver/calls.mjs";
import { canObserve, cpuUs, pin } from "./driver/processes.mjs";
import { open } from "./driver/session.mjs";
import { summarise } from "./report/statistics.mjs";
import { findRow } from "./rows.mjs";

const rounds = 60;
const calls = 4000;
const width = 64;
const names = ["raw-best", "holdfast"];
const reference = new URL("guard.json", import.meta.url);

if (!canObserve) {
  process.stdout.write("CPU a call: not measured, which needs Linux\n");
  process.exit(0);
}
const longestMs = 240_000;
setTimeout(() => {
  process.stderr.write(`not measured in ${longestMs / 1000} s: a row does not answer\n`);
  process.exit(1);
}, longestMs).unref();
pin(cpus().length - 1);
const sessions = await Promise.all(names.map((name) => open(findRow(name))));

/** Microseconds of CPU a call. */
async function measure(session) {
  let left = calls;
  const pids = session.pids();
  const before = cpuUs(pids);
  await inFlight(
    width,
    () => session.echo(),
    () => left-- > 0,
  );
  return (cpuUs(pids) - before) / calls;
}

const samples = [];
for (let round = -10; round < rounds; round++)
  for (const session of sessions) {
    const us = await measure(session);
    if (round >= 0) samples.push({ row: session.row.name, round, values: { us } });
  }
await Promise.all(sessions.map((session) => session.close()));

const [least, own] = summarise(samples, { us: ["raw-best"] }).map(({ values }) => values.us);
const { median, low, high } = own.ratios["raw-best"];
const { ratio } = JSON.parse(readFileSync(reference, "utf8"));
const change = ((median / ratio - 1) * 100).toFixed(0);
process.stdout.write(
  `CPU a call: ${median.toFixed(2)} × raw-best (${low.toFixed(2)}–${high.toFixed(2)}; ` +
    `reference ${ratio.toFixed(2)}, ${change.startsWith("-") ? "" : "+"}${change} %); ` +
    `${own.median.toFixed(1)} µs and ${least.median.toFixed(1)} µs\n`,
);
if (process.argv.includes("--write"))
  writeFileSync(reference, `{ "ratio": ${median.toFixed(2)} }\n`);
