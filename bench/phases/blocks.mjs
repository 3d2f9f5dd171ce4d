import { during, inFlight, oneByOne } from "../driver/calls.mjs";
import { canObserve, cpuUs } from "../driver/processes.mjs";
import { median } from "../report/statistics.mjs";
import { chosen, closeAll, inTurn, openAll } from "./phase.mjs";

/** A hundred calls one after the other, then 0.3 s with 64 in flight. */
async function block(session) {
  const call = () => session.echo();
  await oneByOne(call, 20); // What slept while others were measured is awake again.
  const times = await oneByOne(call, 100);
  const pids = session.pids();
  const before = cpuUs(pids);
  const { calls, perSecond } = await inFlight(64, call, during(300));
  return {
    ...(canObserve && pids.length > 0 && { cpuUs: (cpuUs(pids) - before) / calls }),
    callsPerSecond: perSecond,
    callMs: median(times),
  };
}

const blocks = ({ name, title, transports, against }) => ({
  name,
  title,
  about:
    "All rows are open at once and take turns: 100 calls one after the other, then 0.3 s with 64 in flight.",
  isHeadline: true,
  columns: [
    { key: "cpuUs", title: "gateway CPU a call, µs", against: against.cpu },
    { key: "callsPerSecond", title: "calls a second, 64 in flight", against: against.speed },
    { key: "callMs", title: "one call, median, ms", against: against.speed },
  ],
  async run(recorder, options) {
    const sessions = await openAll(
      recorder,
      chosen(options, ({ transport }) => transports.includes(transport)),
    );
    await inTurn(recorder, sessions, options.sweeps, block);
    await closeAll(sessions);
  },
});

export const stdio = blocks({
  name: "stdio",
  title: "Calls on stdio",
  transports: ["stdio"],
  against: { cpu: ["raw-best", "sdk-minimal"], speed: ["direct", "raw-best"] },
});

export const http = blocks({
  name: "http",
  title: "Calls by HTTP",
  transports: ["http", "sse"],
  against: { cpu: [], speed: ["direct-http"] },
});
