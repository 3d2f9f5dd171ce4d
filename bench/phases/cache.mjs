import { during, inFlight, oneByOne } from "../driver/calls.mjs";
import { makeServers, open } from "../driver/session.mjs";
import { median } from "../report/statistics.mjs";
import { findRow, holdfastWith } from "../rows.mjs";
import { closeAll, inTurn } from "./phase.mjs";

const against = ["direct", "direct-sdk"];

async function measure(session) {
  const call = () => session.callTool("u0", "look_up", { text: "the same" });
  await oneByOne(call, 20);
  const callMs = median(await oneByOne(call, 200));
  return { callMs, callsPerSecond: (await inFlight(64, call, during(300))).perSecond };
}

export const cache = {
  name: "cache",
  title: "An answer from the cache",
  about:
    "The same call again and again: answered by Holdfast's cache, by a server by hand (`direct`), and by a server that is written with the SDK (`direct-sdk`).",
  isHeadline: true,
  columns: [
    { key: "callMs", title: "one call, median, ms", against },
    { key: "callsPerSecond", title: "calls a second, 64 in flight", against },
  ],
  async run(recorder, options) {
    const policies = { cache: { enabled: true } };
    const sessions = [];
    for (const [row, kind] of [
      [findRow("direct"), "raw"],
      [{ ...findRow("direct"), name: "direct-sdk" }, "sdk"],
      [holdfastWith("holdfast", { policies }), "raw"],
    ])
      await recorder.attempt(row.name, async () => {
        sessions.push(await open(row, { servers: makeServers(1, { kind }) }));
      });
    await inTurn(recorder, sessions, options.sweeps, measure);
    await closeAll(sessions);
  },
};
