// A process that does not go when it is asked to.
//   node stubborn-child.mjs [--daemon]
// It says that it is there by a file of its pid in $STUBBORN_FOLDER. With --daemon, it starts another one
// in a session of its own and leaves.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const say = (pid, what) => writeFileSync(join(process.env.STUBBORN_FOLDER, String(pid)), what);

if (process.argv.includes("--daemon")) {
  const daemon = spawn(process.execPath, [fileURLToPath(import.meta.url)], {
    detached: true,
    stdio: "ignore",
  });
  say(daemon.pid, "started");
  daemon.unref();
} else {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => {});
  // So that nothing stays when a test is broken.
  setTimeout(() => process.exit(1), 120_000);
  say(process.pid, "ready");
}
