import { join } from "node:path";
import { build } from "esbuild";
import { root } from "../rows.mjs";

/**
 * A file that runs `program`, which may import from src. It is put below node_modules, so that packages are
 * found, which are not bundled.
 */
export async function bundle(program) {
  const outfile = join(root, "node_modules/.cache/holdfast-bench", program);
  await build({
    entryPoints: [join(root, "bench", program)],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    packages: "external",
  });
  return outfile;
}
