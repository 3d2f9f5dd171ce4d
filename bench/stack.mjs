// What the stack itself costs a call that meets no trouble. `npm run bench -- --only=stack` bundles and runs it:
//   stack.mjs ROUNDS
// It writes a line of JSON for each sample: { row, round, x, values }, where x is how many calls are in flight.
//
// bare       the handle alone
// write      the whole stack for a write, as config gives it by default; read: the same for a read
// heard      a write whose events are counted, as in Holdfast
// told       the same, whose events go over the bus too, to the history that config gives by default
// all        everything that can be on for a read, without a hit in the cache
// cockatiel  its wrap of timeout, retry, circuit breaker and bulkhead, the four that it shares with us
import process from "node:process";
import * as cockatiel from "cockatiel";
import { BudgetLedger } from "../src/budget-ledger.ts";
import { Bus } from "../src/bus/bus.ts";
import { eventsOptions } from "../src/bus/events-options.ts";
import { compose } from "../src/call.ts";
import { Cancel } from "../src/cancel.ts";
import { resolvePolicies } from "../src/config/policies.ts";
import { Epoch } from "../src/epoch.ts";
import { broadcast } from "../src/events.ts";
import { Metrics } from "../src/observe/metrics.ts";
import { stack } from "../src/policies/stack.ts";
import { MemoryStore } from "../src/stores/memory.ts";

const calls = 100_000;
const rounds = Number(process.argv[2]);

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
  const worker = async () => {
    while (left > 0) await run(left--);
  };
  await Promise.all(Array.from({ length: width }, worker));
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / calls;
}

for (const x of [1, 64])
  for (let round = -1; round < rounds; round++)
    for (const [row, run] of Object.entries(rows)) {
      const cpuNs = await measure(run, x);
      const isWarm = round >= 0;
      if (isWarm) process.stdout.write(`${JSON.stringify({ row, round, x, values: { cpuNs } })}\n`);
    }
process.exit(0);
