import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { bundle } from "../../scripts/bundle.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const stores = join(root, "src/stores/runs");
const outdir = join(root, "test/support/dist");

/** The URL of the built module of `openRunStore`, which has a thread that is built too. */
export const builtRunStore = pathToFileURL(join(outdir, "open-run-store.js")).href;

/** End-to-end tests run what users run: the built program. The run store is tested by itself, too. */
export default async function build(): Promise<void> {
  execFileSync("npm", ["run", "build"], { stdio: "inherit", shell: process.platform === "win32" });
  await bundle(
    { "open-run-store": join(stores, "open-run-store.ts"), worker: join(stores, "worker.ts") },
    outdir,
  );
}
