// Loaded into a process with --import: tells over IPC what the process holds, after a collection of garbage.
import process from "node:process";

process.on("message", async () => {
  for (let n = 0; n < 3; n++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const handles = {};
  for (const name of process.getActiveResourcesInfo()) handles[name] = (handles[name] ?? 0) + 1;
  process.send({ heap: process.memoryUsage().heapUsed, handles });
});
process.channel.unref();
