/*
 * How the program is bundled. What is imported with `import()` stays in files of its own, which are loaded when
 * they are first needed; docs/startup.md tells what may be loaded before.
 */
import { build } from "esbuild";

/** What cannot be bundled: it has a native part, or is loaded by `require` when a config has expressions or patterns. */
const external = ["@marcbachmann/cel-js", "libsql", "re2js"];

/** Packages of the CommonJS kind ask for Node's own modules by `require`. */
const banner = `import { createRequire as toRequire } from "node:module"; const require = toRequire(import.meta.url);`;

/**
 * Bundles `entryPoints` (output names to source files) into the folder `outdir`, all files flat in it, with a
 * source map beside each. Resolves with esbuild's metafile.
 */
export async function bundle(entryPoints, outdir) {
  const { metafile } = await build({
    entryPoints,
    outdir,
    external,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    // Of packages that have both kinds, the modules: they are the ones of which only what is used is kept.
    mainFields: ["module", "main"],
    minify: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: "none",
    metafile: true,
    banner: { js: banner },
    logLevel: "warning",
  });
  return metafile;
}
