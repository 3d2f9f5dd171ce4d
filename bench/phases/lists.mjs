import { oneByOne } from "../driver/calls.mjs";
import { makeServers, open } from "../driver/session.mjs";
import { median } from "../report/statistics.mjs";
import { chosen, closeAll, inTurn } from "./phase.mjs";

const lists = ({ name, title, isHeadline, shapes }) => ({
  name,
  title,
  about:
    "tools/list, through to the client's parsing it; `direct` is one server that has all the tools.",
  isHeadline,
  axis: { title: "tools" },
  columns: [{ key: "listMs", title: "tools/list, ms", against: ["direct", "raw-best"] }],
  async run(recorder, options) {
    const rows = chosen(
      options,
      (row) =>
        row.transport === "stdio" && !row.own && row.call === undefined && row.peer === undefined,
    );
    for (const [servers, tools] of shapes) {
      const sessions = [];
      for (const row of rows)
        await recorder.attempt(row.name, async () => {
          const behind = row.single
            ? makeServers(1, { tools: servers * tools })
            : makeServers(servers, { tools });
          sessions.push(await open(row, { servers: behind }));
        });
      const measure = async (session) => {
        if ((await session.listTools()).length < servers * tools)
          throw new Error("tools are missing");
        return { listMs: median(await oneByOne(() => session.listTools(), 10)) };
      };
      await inTurn(recorder, sessions, Math.ceil(options.sweeps / 5), measure, servers * tools);
      await closeAll(sessions);
    }
  },
});

export const list = lists({
  name: "list",
  title: "tools/list of 10 servers × 100 tools, and 50 × 200",
  isHeadline: true,
  shapes: [
    [10, 100],
    [50, 200],
  ],
});

export const tools = lists({
  name: "tools",
  title: "tools/list of 10 servers, over the number of tools",
  isHeadline: false,
  shapes: [10, 30, 100, 300, 1000].map((each) => [10, each]),
});
