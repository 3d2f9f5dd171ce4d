/** Sends a signal to a process and to all of its process group, whether or not the leader still lives. */
export function killTree(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone already, all of them.
  }
}
