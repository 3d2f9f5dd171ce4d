import { during, inFlight, oneByOne } from "../driver/calls.mjs";
import { memoryMiB } from "../driver/processes.mjs";
import { makeServers, open } from "../driver/session.mjs";
import { median } from "../report/statistics.mjs";
import { chosen, closeAll, inTurn, openAll } from "./phase.mjs";

const mostByHttp = 256;

export const concurrency = {
  name: "concurrency",
  title: "Calls a second, over how many are in flight",
  about: `0.2 s for each row in turn; by HTTP up to ${mostByHttp}, which is the most that Holdfast takes of one session by default.`,
  isHeadline: false,
  axis: { title: "calls in flight" },
  columns: [{ key: "callsPerSecond", title: "calls a second", against: ["direct"] }],
  async run(recorder, options) {
    const sessions = await openAll(
      recorder,
      chosen(options, ({ own, peer }) => !own && peer === undefined),
    );
    for (let width = 1; width <= 1024; width *= 2) {
      const measure = async (session) => {
        const call = () => session.echo();
        await inFlight(width, call, during(50));
        return { callsPerSecond: (await inFlight(width, call, during(200))).perSecond };
      };
      const able = sessions.filter(({ row }) => width <= mostByHttp || row.transport === "stdio");
      await inTurn(recorder, able, Math.ceil(options.sweeps / 4), measure, width);
    }
    await closeAll(sessions);
  },
};

export const upstreams = {
  name: "upstreams",
  title: "From 1 to 100 servers",
  about:
    "Start until every server is listed, then tools/list, calls of each server in turn, and 64 calls in flight over all of them.",
  isHeadline: false,
  usesAllCpus: true,
  axis: { title: "servers" },
  columns: [
    { key: "startMs", title: "start, ms", against: ["raw-best"] },
    { key: "listMs", title: "tools/list, ms" },
    { key: "callMs", title: "one call, ms" },
    { key: "callsPerSecond", title: "calls a second, 64 in flight" },
    { key: "rssMiB", title: "memory, MiB" },
  ],
  async run(recorder, options) {
    const rows = chosen(
      options,
      (row) => row.transport === "stdio" && !row.own && !row.single && row.peer === undefined,
    );
    for (const count of [1, 2, 5, 10, 20, 50, 100])
      for (let round = 0; round < Math.ceil(options.sweeps / 7); round++)
        for (const row of rows.filter(({ name }) => !recorder.hasFailed(name)))
          await recorder.attempt(
            row.name,
            async () => {
              const session = await open(row, { servers: makeServers(count, { tools: 10 }) });
              let n = 0;
              const call = () => session.echo(`u${n++ % count}`);
              await inFlight(64, call, during(300));
              const pids = session.pids();
              recorder.record(
                row.name,
                round,
                {
                  startMs: session.startMs.listed,
                  listMs: median(await oneByOne(() => session.listTools(), 20)),
                  callMs: median(await oneByOne(call, 200)),
                  callsPerSecond: (await inFlight(64, call, during(500))).perSecond,
                  ...(pids.length > 0 && { rssMiB: memoryMiB(pids) }),
                },
                count,
              );
              await session.close();
            },
            count,
          );
  },
};
