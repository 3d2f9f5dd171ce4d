import { randomUUID } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { parseStat, startTimeOf } from "../../upstream/process-table.ts";

/**
 * A name for this process that no other has had: `KERNEL/SPACE/PID/START/RANDOM`. The kernel is the boot id
 * (off Linux the host's name), the space is the pid namespace; both are empty where pids cannot be told apart.
 */
export function newToken(): string {
  const { kernel, space } = place();
  // The boot id in it has a field of its own.
  const [start = ""] = (startTimeOf(process.pid) ?? "").split("@");
  return [kernel, space, process.pid, start, randomUUID()].join("/");
}

/**
 * Whether the process of a token is known to have ended. `local` says that all who write such tokens run on
 * this machine, so that those of another boot have ended too. False where it cannot be known.
 */
export function hasEnded(token: string, local: boolean): boolean {
  const [kernel = "", space = "", pid = "", start = "", random] = token.split("/");
  const here = place();
  if (kernel === "" || here.kernel === "" || random === undefined) return false;
  if (linux && kernel !== here.kernel) return local && isBootId(kernel);
  // Off Linux a place is a host's name, which others may have too.
  const known = linux ? space !== "" : local;
  if (!known || kernel !== here.kernel || space !== here.space) return false;
  return processHasEnded(Number(pid), start);
}

const linux = process.platform === "linux";

const isBootId = (text: string): boolean =>
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

function processHasEnded(pid: number, start: string): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // It is there, but not ours to signal.
    return !(error instanceof Error && "code" in error && error.code === "EPERM");
  }
  if (!linux || start === "") return false;
  try {
    // What was read without a start time is a zombie. Where nothing can be read, nothing is known.
    const info = parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"), "");
    return info?.startTime !== `${start}@`;
  } catch {
    return false;
  }
}

/** Where a pid means the same process as here. */
function place(): { readonly kernel: string; readonly space: string } {
  if (!linux) return { kernel: encodeURIComponent(hostname()), space: "" };
  try {
    // In a /proc of another pid namespace, pids would be those of other processes.
    const own = readlinkSync("/proc/self") === String(process.pid);
    return {
      kernel: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
      space: own ? encodeURIComponent(readlinkSync("/proc/self/ns/pid")) : "",
    };
  } catch {
    return { kernel: "", space: "" };
  }
}
