import { oneByOne } from "../driver/calls.mjs";
import { makeServers, open } from "../driver/session.mjs";
import { median } from "../report/statistics.mjs";
import { holdfastWith } from "../rows.mjs";

const names = ["u0", "u1", "u2"];
const steps = names.map((name) => ({
  id: name,
  tool: `${name}__echo`,
  arguments: { text: "${{ input.text }}" },
}));
const config = {
  chains: { chained: { steps } },
  sagas: { undoable: { steps: steps.map((step) => ({ ...step, compensate: false })) } },
};
const given = { text: "The quick brown fox" };

export const workflows = {
  name: "workflows",
  title: "A chain and a saga of three calls",
  about:
    "Three calls made one by one, a chain of them, and a saga of them, which writes down each call before and after it (SQLite, synchronous=FULL).",
  isHeadline: false,
  columns: [{ key: "runMs", title: "three calls, ms", against: ["calls"] }],
  async run(recorder, options) {
    const session = await open(holdfastWith("holdfast", config), { servers: makeServers(3) });
    const run = async (name) => {
      const { isError, content } = await session.client.request("tools/call", {
        name: `holdfast__${name}`,
        arguments: given,
      });
      if (isError) throw new Error(content[0].text);
    };
    const ways = {
      calls: async () => {
        for (const name of names) await session.echo(name);
      },
      chain: () => run("chained"),
      saga: () => run("undoable"),
    };
    for (const way of Object.values(ways)) await oneByOne(way, 50);
    for (let round = 0; round < options.sweeps; round++)
      for (const [name, way] of Object.entries(ways))
        recorder.record(name, round, { runMs: median(await oneByOne(way, 50)) });
    await session.close();
  },
};
