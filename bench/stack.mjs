// What the stack itself costs a call that meets no trouble, side by side in one run:
//   node bench/stack.mjs [--calls=200000] [--rounds=9]
// bare: the handle alone. read, write: our whole stack, as config gives it by default. all: everything
// that can be on for a read, without a hit in the cache. heard: a write whose events are counted, as in
// Holdfast. told: the same, whose events go over the bus too, to the history that config gives by default. cockatiel: its wrap of timeout, retry, circuit
// breaker and bulkhead, the four that it shares with us. One call at a time, and 64 in flight.
import process from "node:process";
import * as cockatiel from "cockatiel";
import { BudgetLedger } from "../dist/budget-ledger.js";
import { Bus } from "../dist/bus/bus.js";
import { eventsOptions } from "../dist/bus/events-options.js";
import { compose } from "../dist/call.js";
import { Cancel } from "../dist/cancel.js";
import { resolvePolicies } from "../dist/config/policies.js";
import { Epoch } from "../dist/epoch.js";
import { broadcast } from "../dist/events.js";
import { Metrics } from "../dist/observe/metrics.js";
import { stack } from "../dist/policies/stack.js";
import { MemoryStore } from "../dist/stores/memory.js";

const options = Object.fromEntries(
  process.argv.slice(2).map((argument) => argument.replace(/^--/, "").split("=")),
);
const calls = Number(options.calls ?? 200_000);
const rounds = Number(options.rounds ?? 9);

const result = { content: [{ type: "text", text: "ok" }] };
const answer = Promise.resolve(result);
const handle = () => answer;

const everything = {
  cache: { enabled: true },
  hedge: { enabled: true, afterMs: 60_000 },
  rateLimit: { requestsPerSecond: 1_000_000, burst: 1_000_000 },
  result: { maxBytes: 1_000_000 },
};

function ours(effect, levels, report = () => {}) {
  const policies = resolvePolicies(levels);
  const tool = {
    name: "up__do",
    upstream: "up",
    remoteName: "do",
    effect,
    effectSource: "",
    definition: { name: "up__do" },
  };
  const { middlewares } = stack({
    upstream: "up",
    report,
    policies,
    policiesOf: () => policies,
    allPolicies: [policies],
    middlewares: [],
    untilReady: () => undefined,
    supersedeKeyOf: undefined,
    coalesceKeyOf: undefined,
    verify: undefined,
    costOf: levels.length > 0 ? () => 0.001 : undefined,
    budgetsOf: () => [],
    ledger: new BudgetLedger("/nowhere", () => {}),
    spent: () => {},
    store: new MemoryStore({ maxEntries: 1000, maxBytes: 1_000_000 }),
    epoch: new Epoch(),
    onWrite: undefined,
    keep: () => Promise.reject(new Error("nothing is kept")),
  });
  const composed = compose(middlewares, handle);
  const caller = { principal: "local", session: "bench", client: "bench" };
  return (n) =>
    composed({
      upstream: "up",
      method: "tools/call",
      tool,
      params: { name: "do", arguments: { text: "The quick brown fox", n } },
      meta: undefined,
      caller,
      signal: new Cancel(),
      deadline: { at: Infinity, max: Infinity },
      onProgress: undefined,
      onAlive: undefined,
      fresh: undefined,
      trace: "00000000000000000000000000000000",
    });
}

const wrapped = cockatiel.wrap(
  cockatiel.retry(cockatiel.handleAll, {
    maxAttempts: 2,
    backoff: new cockatiel.ExponentialBackoff(),
  }),
  cockatiel.circuitBreaker(cockatiel.handleAll, {
    halfOpenAfter: 30_000,
    breaker: new cockatiel.ConsecutiveBreaker(5),
  }),
  cockatiel.bulkhead(64, 1000),
  cockatiel.timeout(30_000, cockatiel.TimeoutStrategy.Aggressive),
);

const bus = new Bus((text) => text);
bus.history.bound(eventsOptions.parse({}).history);

const rows = {
  bare: () => handle(),
  write: ours("write", []),
  heard: ours("write", [], broadcast([new Metrics().take])),
  told: ours("write", [], broadcast([new Metrics().take, bus.take])),
  read: ours("read", []),
  all: ours("read", [everything]),
  cockatiel: () => wrapped.execute(handle),
};

/** Nanoseconds of CPU a call. */
async function measure(run, width) {
  let left = calls;
  const before = process.cpuUsage();
  await Promise.all(
    Array.from({ length: width }, async () => {
      // oxlint-disable-next-line no-await-in-loop -- so many at once
      while (left > 0) await run(left--);
    }),
  );
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / calls;
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

for (const width of [1, 64]) {
  const seen = Object.fromEntries(Object.keys(rows).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++)
    for (const [name, run] of Object.entries(rows)) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const ns = await measure(run, width);
      if (round > 0) seen[name].push(ns); // the first warms up
    }
  const medians = Object.fromEntries(
    Object.entries(seen).map(([name, values]) => [name, median(values)]),
  );
  process.stdout.write(`\n${width} in flight, ns of CPU a call (medians of ${rounds} rounds)\n`);
  for (const [name, ns] of Object.entries(medians)) {
    const own = ns - medians.bare;
    const ratio = (ns / medians.cockatiel).toFixed(3);
    process.stdout.write(
      `${name.padEnd(10)} ${ns.toFixed(0).padStart(7)}   over bare ${own.toFixed(0).padStart(7)}   × cockatiel ${ratio}\n`,
    );
  }
}
process.exit(0);
