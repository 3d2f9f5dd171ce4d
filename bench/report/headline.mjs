import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, rows } from "../rows.mjs";
import { describe, short, table } from "./tables.mjs";

const mib = 1024 * 1024;

/** What README shows of the results: [head, phases that have it, key, x]. */
const columns = [
  ["CPU a call, µs", ["stdio", "http"], "cpuUs"],
  ["calls a second", ["stdio", "http"], "callsPerSecond"],
  ["one call, ms", ["stdio", "http"], "callMs"],
  ["8 MiB result, ms", ["large"], "callMs", 8 * mib],
  ["first call after start, ms", ["start"], "calledMs"],
  ["memory, MiB", ["start"], "idleMiB"],
];

const begin = "<!-- bench: npm run bench -- --readme writes this -->";
const end = "<!-- /bench -->";
const block = new RegExp(`${begin}[^]*?${end}`);

/** README's part on speed, from the results. */
export function headline({ date, machine, versions, phases }) {
  const value = (row, names, key, x) =>
    names
      .flatMap((name) => phases[name]?.points ?? [])
      .find((point) => point.row === row && point.x === x && point.values[key] !== undefined)
      ?.values[key].median;
  const lines = rows
    .filter(({ own }) => !own)
    .map(({ name, transport }) => [
      name === "holdfast" || name === "holdfast-http" ? `**${name}**` : name,
      transport,
      ...columns.map(([, names, key, x]) => {
        const found = value(name, names, key, x);
        return found === undefined ? "" : short(found);
      }),
    ])
    .filter(([, , ...cells]) => cells.some((cell) => cell !== ""));
  const heads = ["", "client by", ...columns.map(([head]) => head)];
  return `${begin}\n\n${table(heads, lines)}\n\nMeasured on ${date.slice(0, 10)}: ${describe(machine, versions)}\n\n${end}`;
}

/** README as it is, and as the results want it to be. */
export function readme() {
  const now = readFileSync(join(root, "README.md"), "utf8");
  const results = JSON.parse(readFileSync(join(root, "bench/results/results.json"), "utf8"));
  return { now, wanted: now.replace(block, () => headline(results)) };
}

export const writeReadme = () => writeFileSync(join(root, "README.md"), readme().wanted);
