/*
 * Builds the published program: bundles src/main.ts into dist/, the servers of the demo into dist/order/, and puts
 * the licences of what is bundled beside them.
 */
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "./bundle.mjs";

const root = fileURLToPath(new URL("../", import.meta.url));
process.chdir(root);
await rm("dist", { recursive: true, force: true });
const program = await bundle(
  {
    main: "src/main.ts",
    // What modules of users import.
    call: "src/call.ts",
    // The thread of the run store, which asks for it by this name.
    worker: "src/stores/runs/worker.ts",
  },
  "dist",
);
const servers = ["orders", "payments", "inventory", "notifications"];
const demo = await bundle(
  Object.fromEntries(servers.map((name) => [name, `examples/order/${name}.mjs`])),
  "dist/order",
);
await writeFile("dist/third-party-licences.txt", await licences([program, demo]));

/** The licences of all packages that have a part in the bundle, by the names of the packages. */
async function licences(metafiles) {
  const outputs = metafiles.flatMap((metafile) => Object.values(metafile.outputs));
  const inputs = new Set(outputs.flatMap((output) => Object.keys(output.inputs)));
  const folders = [...inputs].flatMap(
    (input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input) ?? [],
  );
  const texts = await Promise.all([...new Set(folders)].toSorted().map(licence));
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}

async function licence(folder) {
  const { name, version, license } = JSON.parse(
    await readFile(join(folder, "package.json"), "utf8"),
  );
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file === undefined ? "" : `\n${await readFile(join(folder, file), "utf8")}`;
  return `${name} ${version} (${license})\n${text}`;
}
