// A server program that ignores stdin's end and SIGTERM, and starts children that ignore SIGTERM.
//   node stubborn-server.mjs [--children=plain,detached,daemon] [--polite] [--leave=now|later] [-- COMMAND …]
// --polite: leaves when stdin ends. --leave: leaves by itself, at once or when its children are there.
// COMMAND is the server itself, on the same stdin and stdout, as a launcher starts it; when it fails, the
// launcher leaves with its code.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const folder = process.env.STUBBORN_FOLDER;
const child = fileURLToPath(new URL("stubborn-child.mjs", import.meta.url));
const cut = process.argv.includes("--") ? process.argv.indexOf("--") : process.argv.length;
const [command, ...args] = process.argv.slice(cut + 1);
const options = Object.fromEntries(
  process.argv.slice(2, cut).map((argument) => argument.replace(/^--/, "").split(/=(.*)/s)),
);
const kinds = options.children?.split(",") ?? [];
const say = (pid, what) => writeFileSync(join(folder, String(pid)), what);

for (const kind of kinds) {
  const { pid } = spawn(process.execPath, [child, ...(kind === "daemon" ? ["--daemon"] : [])], {
    detached: kind === "detached",
    stdio: "ignore",
  });
  if (kind !== "daemon") say(pid, "started");
}
if (command !== undefined) {
  const server = spawn(command, args, { stdio: "inherit" });
  server.on("exit", (code) => code !== 0 && process.exit(code ?? 1));
}

if (options.leave === "now") process.exit(0);
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => {});
// So that nothing stays when a test is broken.
setTimeout(() => process.exit(1), 120_000);
say(process.pid, "ready");

if (options.leave === "later") {
  const ready = (pid) => readFileSync(join(folder, pid), "utf8") === "ready";
  setInterval(() => {
    if (readdirSync(folder).filter(ready).length > kinds.length) process.exit(0);
  }, 10);
} else if (command === undefined) {
  process.stdin.resume();
  if ("polite" in options) process.stdin.on("end", () => process.exit(0));
}
