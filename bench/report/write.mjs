import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../rows.mjs";
import { writeReadme } from "./headline.mjs";
import { plot } from "./plots.mjs";
import { markdown } from "./tables.mjs";

/** Where the results are that are committed, which README shows. */
export const committed = join(root, "bench/results");

/** Writes JSON, tables and plots into a folder, and README's table if they are to be committed. Returns the tables. */
export function writeResults(folder, results, phases) {
  mkdirSync(folder, { recursive: true });
  const text = markdown(results, phases);
  writeFileSync(join(folder, "results.json"), `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(join(folder, "results.md"), `${text}\n`);
  for (const phase of phases) {
    const result = results.phases[phase.name];
    if (result !== undefined && result.points.length > 0)
      writeFileSync(join(folder, `${phase.name}.svg`), plot(phase, result));
  }
  if (folder === committed) writeReadme();
  return text;
}

/** Writes all that follows from the committed figures anew. */
export const rewrite = (phases) =>
  writeResults(
    committed,
    JSON.parse(readFileSync(join(committed, "results.json"), "utf8")),
    phases,
  );
