import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { memoryMiB } from "../driver/processes.mjs";
import { open } from "../driver/session.mjs";
import { findRow } from "../rows.mjs";
import { chosen } from "./phase.mjs";

const against = ["direct", "raw-best"];

export const start = {
  name: "start",
  title: "Start with one server",
  about:
    "From the spawn on, until the client is initialised, until the server's tools are listed, until the first call is answered; then the memory that the gateway holds. `holdfast-again` knows the tools from an earlier run.",
  isHeadline: true,
  usesAllCpus: true,
  columns: [
    { key: "initializedMs", title: "initialised, ms" },
    { key: "listedMs", title: "listed, ms", against },
    { key: "calledMs", title: "first call, ms", against },
    { key: "idleMiB", title: "memory idle, MiB" },
  ],
  async run(recorder, options) {
    const rows = chosen(options, ({ own }) => !own);
    const again = { ...findRow("holdfast"), name: "holdfast-again" };
    const state = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
    if (rows.some(({ name }) => name === "holdfast")) {
      await (await open(again, { state })).close();
      rows.push(again);
    }
    for (let round = 0; round < Math.ceil(options.sweeps / 3); round++)
      for (let n = 0; n < rows.length; n++) {
        const row = rows[(n + round) % rows.length];
        if (recorder.hasFailed(row.name)) continue;
        await recorder.attempt(row.name, async () => {
          const session = await open(row, row === again ? { state } : {});
          const { initialized, listed, called } = session.startMs;
          await sleep(500);
          const pids = session.pids();
          recorder.record(row.name, round, {
            initializedMs: initialized,
            listedMs: listed,
            calledMs: called,
            ...(pids.length > 0 && { idleMiB: memoryMiB(pids) }),
          });
          await session.close();
        });
      }
    rmSync(state, { recursive: true, force: true });
  },
};
