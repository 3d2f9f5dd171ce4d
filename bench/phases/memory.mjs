import { setTimeout as sleep } from "node:timers/promises";
import { during, inFlight } from "../driver/calls.mjs";
import { canObserve, memoryMiB } from "../driver/processes.mjs";
import { open } from "../driver/session.mjs";
import { chosen } from "./phase.mjs";

const steps = 10;
const longestMs = 300_000;

export const memory = {
  name: "memory",
  title: "Memory over many calls",
  about: `What the gateway holds while calls are made with 64 in flight (--calls; at most ${longestMs / 60_000} minutes a row).`,
  isHeadline: false,
  usesAllCpus: true,
  axis: { title: "calls", isLinear: true },
  columns: [{ key: "rssMiB", title: "memory, MiB" }],
  async run(recorder, options) {
    if (!canObserve) return;
    const rows = chosen(
      options,
      (row) => row.transport === "stdio" && !row.own && !row.isServer && row.peer === undefined,
    );
    for (const row of rows)
      await recorder.attempt(row.name, async () => {
        const session = await open(row);
        await sleep(500);
        const record = (calls) =>
          recorder.record(row.name, 0, { rssMiB: memoryMiB(session.pids()) }, calls);
        record(0);
        const inTime = during(longestMs);
        const each = Math.ceil(options.calls / steps);
        for (let step = 1; step <= steps && inTime(); step++) {
          await inFlight(64, () => session.echo(), begun(each));
          record(step * each);
        }
        await session.close();
      });
  },
};

/** True so many times. */
function begun(count) {
  let left = count;
  return () => left-- > 0;
}
