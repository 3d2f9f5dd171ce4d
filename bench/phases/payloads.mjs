import { oneByOne } from "../driver/calls.mjs";
import { memoryMiB } from "../driver/processes.mjs";
import { median } from "../report/statistics.mjs";
import { chosen, closeAll, inTurn, openAll } from "./phase.mjs";

const mib = 1024 * 1024;
const against = ["direct", "raw-best"];

const payloads = ({ name, title, isHeadline, sizes, belongs }) => ({
  name,
  title,
  about:
    "The median of calls one after the other, for a result of so many bytes, and the most memory that the gateway has held by then.",
  isHeadline,
  axis: { title: "result", of: "bytes" },
  columns: [
    { key: "callMs", title: "one call, ms", against },
    { key: "peakMiB", title: "peak memory, MiB", against: ["raw-best"] },
  ],
  async run(recorder, options) {
    const sessions = await openAll(recorder, chosen(options, belongs));
    for (const bytes of sizes) {
      const calls = Math.max(1, Math.min(100, (16 * mib) / bytes));
      const measure = async (session) => {
        const callMs = median(await oneByOne(() => session.payload(bytes), calls));
        const pids = session.pids();
        return { callMs, ...(pids.length > 0 && { peakMiB: memoryMiB(pids, "VmHWM") }) };
      };
      const rounds = Math.ceil(options.sweeps / (isHeadline ? 5 : 7));
      await inTurn(recorder, sessions, rounds, measure, bytes);
    }
    await closeAll(sessions);
  },
});

export const large = payloads({
  name: "large",
  title: "Results of 1 and 8 MiB",
  isHeadline: true,
  sizes: [mib, 8 * mib],
  belongs: ({ own }) => !own,
});

export const huge = payloads({
  name: "huge",
  title: "Results of 64 MiB",
  isHeadline: false,
  sizes: [64 * mib],
  belongs: ({ own }) => !own,
});

export const results = payloads({
  name: "results",
  title: "Results from 64 B to 8 MiB",
  isHeadline: false,
  sizes: [64, 512, 4096, 32_768, 262_144, mib, 8 * mib],
  belongs: ({ transport, own, peer }) => transport === "stdio" && !own && peer === undefined,
});
