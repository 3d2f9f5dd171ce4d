import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { startTimeOf } from "../../upstream/process-table.ts";

/**
 * A name for this process that no other has had: `KERNEL/SPACE/PID/START/RANDOM`. The kernel is the boot id
 * (off Linux the host's name), the space is the pid namespace; both are empty where pids cannot be told apart.
 */
export function newToken(): string {
  const { kernel, space } = place();
  const start = startTimeOf(process.pid) ?? "";
  return [kernel, space, process.pid, encodeURIComponent(start), randomUUID()].join("/");
}

/**
 * Whether the process of a token is known to have ended. `local` says that all who write such tokens run on
 * this machine, so that those of another boot have ended too. False where it cannot be known.
 */
export function hasEnded(token: string, local: boolean): boolean {
  const [kernel, space, pid, start, random] = token.split("/");
  const here = place();
  if (!kernel || random === undefined || here.kernel === "") return false;
  if (linux && kernel !== here.kernel) return local && isBootId(kernel);
  // Off Linux a host's name is all there is, and others may have the same.
  if (kernel !== here.kernel || space !== here.space || !(linux ? space : local)) return false;
  return processHasEnded(Number(pid), decodeURIComponent(start ?? ""));
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
  const now = startTimeOf(pid);
  // There, but without a start time: a zombie, unless /proc hides it.
  return now === undefined ? existsSync(`/proc/${pid}/stat`) : now !== start;
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
