// What the kernel knows of processes: Linux only, elsewhere there are no figures of CPU and memory.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";

/** Whether CPU and memory of other processes can be read. */
export const canObserve = process.platform === "linux";

const read = (file) => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // It has ended.
  }
};

const isServer = (pid) => read(`/proc/${pid}/cmdline`).includes("/bench/servers/");

/** Pids of a program's processes, apart from those of the servers behind it. */
export function gatewayPids(rootPid) {
  if (!canObserve) return [];
  const children = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const parent = /\) \S (\d+)/.exec(read(`/proc/${pid}/stat`))?.[1];
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const tree = (pid) => [
    pid,
    ...(children.get(pid) ?? []).filter((child) => !isServer(child)).flatMap(tree),
  ];
  return tree(String(rootPid));
}

/** Microseconds of CPU, user and system, that the threads of these processes have taken so far. */
export function cpuUs(pids) {
  let ns = 0;
  for (const pid of pids)
    for (const thread of readdirSync(`/proc/${pid}/task`))
      ns += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(" ")[0]);
  return ns / 1000;
}

/** MiB that these processes hold in memory; `VmHWM` instead of `VmRSS`: the most they have held. */
export function memoryMiB(pids, field = "VmRSS") {
  const kib = (pid) =>
    Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
  return pids.reduce((sum, pid) => sum + kib(pid), 0) / 1024;
}

/**
 * Keeps this process, and those that it starts from now on, on one CPU: "off" for all CPUs. What wakes up on
 * another CPU takes longer at random, and would hide what is measured. False where that cannot be done.
 */
export function pin(cpu) {
  const list = cpu === "off" ? `0-${cpus().length - 1}` : String(cpu);
  try {
    execFileSync("taskset", ["-acp", list, String(process.pid)], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
