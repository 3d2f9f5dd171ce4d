import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";
import { bundle } from "../driver/bundle.mjs";

export const stack = {
  name: "stack",
  title: "The stack of middlewares alone",
  about:
    "No processes, no messages: a call through the stack to a handle that answers at once. bench/stack.mjs tells what the rows are.",
  isHeadline: false,
  axis: { title: "calls in flight" },
  columns: [{ key: "cpuNs", title: "CPU a call, ns", against: ["bare", "cockatiel"] }],
  async run(recorder, options) {
    const program = await bundle("stack.mjs");
    const { stdout } = await promisify(execFile)(process.execPath, [
      program,
      String(Math.ceil(options.sweeps / 3)),
    ]);
    for (const line of stdout.trim().split("\n")) recorder.samples.push(JSON.parse(line));
  },
};
