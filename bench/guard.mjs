// What a call costs Holdfast, beside the least that a gateway can cost, in one run of about 20 s:
//   npm run bench:guard [-- --cpu=N --write]
// Both take turns on one CPU (default: the last) with the same number of calls. What else a machine does only adds
// to CPU time, by what it does to caches: so the lower quartiles of both are compared, which it moves least. This
// is a report: only that nothing can be measured fails. --write makes the figure the reference.
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { inFlight } from "./driver/calls.mjs";
import { canObserve, cpuUs, pin } from "./driver/processes.mjs";
import { open } from "./driver/session.mjs";
import { quantile } from "./report/statistics.mjs";
import { findRow } from "./rows.mjs";

const rounds = 60;
const warmUp = 10;
const calls = 4000;
const width = 64;
const longestMs = 240_000;
const reference = new URL("guard.json", import.meta.url);

const { values: given } = parseArgs({
  options: { cpu: { type: "string" }, write: { type: "boolean" } },
});

if (!canObserve) {
  process.stdout.write("CPU a call: not measured, which needs Linux\n");
  process.exit(0);
}
setTimeout(() => {
  process.stderr.write(`not measured in ${longestMs / 1000} s: a row does not answer\n`);
  process.exit(1);
}, longestMs).unref();
pin(given.cpu ?? cpus().length - 1);

const sessions = [await open(findRow("holdfast")), await open(findRow("raw-best"))];
const seen = sessions.map(() => []);
for (let round = -warmUp; round < rounds; round++)
  for (const [n, session] of sessions.entries()) {
    const us = await measure(session);
    if (round >= 0) seen[n].push(us);
  }
await Promise.all(sessions.map((session) => session.close()));
report(...seen);

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

function report(ours, least) {
  const [own, base] = [quantile(ours, 0.25), quantile(least, 0.25)];
  const { ratio } = JSON.parse(readFileSync(reference, "utf8"));
  const change = ((own / base / ratio - 1) * 100).toFixed(0);
  const singles = ours.map((us, round) => us / least[round]);
  process.stdout.write(
    `CPU a call: ${(own / base).toFixed(2)} × raw-best ` +
      `(reference ${ratio.toFixed(2)}, ${change.startsWith("-") ? "" : "+"}${change} %); ` +
      `${own.toFixed(1)} µs and ${base.toFixed(1)} µs; ` +
      `single rounds ${quantile(singles, 0.25).toFixed(2)} to ${quantile(singles, 0.75).toFixed(2)}\n`,
  );
  if (given.write) writeFileSync(reference, `{ "ratio": ${(own / base).toFixed(2)} }\n`);
}
