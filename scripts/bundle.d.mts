import type { Metafile } from "esbuild";

export declare function bundle(
  entryPoints: Readonly<Record<string, string>>,
  outdir: string,
): Promise<Metafile>;
