// npm run bench: measures Holdfast beside others, and writes a table, JSON and plots. --help tells the rest.
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { cpus } from "node:os";
import { canObserve, pin } from "./driver/processes.mjs";
import { installPeers } from "./peers.mjs";
import { phases } from "./phases/index.mjs";
import { machine, versions } from "./report/machine.mjs";
import { Recorder } from "./report/recorder.mjs";
import { summarise } from "./report/statistics.mjs";
import { committed, rewrite, writeResults } from "./report/write.mjs";
import { isInstalled, rows } from "./rows.mjs";

const help = `npm run bench -- [options]

  (none)          the phases of the headline, about 6 minutes, into bench/results/last
  --all           every phase, about 25 minutes, into bench/results, and README's table
  --only=A,B      these phases: ${phases.map(({ name }) => name).join(", ")}
  --rows=A,B      these rows: ${rows.map(({ name }) => name).join(", ")}
  --sweeps=N      rounds; default 15; phases whose rounds are long take fewer
  --calls=N       calls in the phase memory; default 1000000
  --quick         4 sweeps and 50000 calls: does everything work?
  --cpu=N|off     the CPU that driver, gateway and server share; default: the last one
  --peers         install the peers that npm has into bench/peers, and measure nothing
  --readme        write README's table and the plots anew from bench/results, and measure nothing
`;

const { values: given } = parseArgs({
  options: {
    all: { type: "boolean" },
    only: { type: "string" },
    rows: { type: "string" },
    sweeps: { type: "string" },
    calls: { type: "string" },
    quick: { type: "boolean" },
    cpu: { type: "string" },
    peers: { type: "boolean" },
    readme: { type: "boolean" },
    help: { type: "boolean" },
  },
});

const isWhole = given.all && !given.quick && given.only === undefined && given.rows === undefined;
const options = {
  sweeps: Number(given.sweeps ?? (given.quick ? 4 : 15)),
  calls: Number(given.calls ?? (given.quick ? 50_000 : 1_000_000)),
  rows: given.rows?.split(","),
};

if (given.help) process.stdout.write(help);
else if (given.peers) installPeers();
else if (given.readme) rewrite(phases);
else await measure();

async function measure() {
  const names = given.only?.split(",");
  const wanted = phases.filter(({ name, isHeadline }) =>
    names === undefined ? given.all || isHeadline : names.includes(name),
  );
  const missing = rows.filter((row) => !isInstalled(row)).map(({ name }) => name);
  if (missing.length > 0)
    tell(`not installed, left out: ${missing.join(", ")} (npm run bench -- --peers)`);
  if (!canObserve) tell("CPU and memory of processes are only measured on Linux");
  const results = {
    date: new Date().toISOString(),
    machine: machine(),
    versions: versions(),
    options,
    phases: {},
  };
  for (const phase of wanted) {
    const begin = performance.now();
    const isPinned = pin(phase.usesAllCpus ? "off" : (given.cpu ?? cpus().length - 1));
    if (!isPinned) tell("taskset is not there: processes wander between CPUs, and figures vary");
    const recorder = new Recorder(phase);
    await recorder.attempt("all", () => phase.run(recorder, options));
    const against = Object.fromEntries(phase.columns.map((column) => [column.key, column.against]));
    const points = summarise(recorder.samples, against);
    results.phases[phase.name] = { points, failed: recorder.failed };
    tell(`${phase.name}: ${((performance.now() - begin) / 1000).toFixed(0)} s`);
  }
  const folder = isWhole ? committed : join(committed, "last");
  process.stdout.write(`${writeResults(folder, results, phases)}\n\nwritten to ${folder}\n`);
}

function tell(line) {
  process.stderr.write(`${line}\n`);
}
