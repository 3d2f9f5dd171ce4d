/** Three figures that count. */
export function short(value) {
  if (value >= 1000) return Math.round(value).toLocaleString("en-GB");
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  return value >= 1 ? value.toFixed(2) : value.toFixed(3);
}

const sizes = [
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
];

/** A place on the axis of a phase. */
export const axisText = (axis, x) => (axis?.of === "bytes" ? bytes(x) : x.toLocaleString("en-GB"));

/** 1048576 as 1 MiB. */
function bytes(value) {
  const [unit, name] = sizes.find(([least]) => value >= least) ?? [1, "B"];
  return `${value / unit} ${name}`;
}

const ratio = ({ median, low, high }) => `${short(median)} (${short(low)}–${short(high)})`;

/** A table of Markdown, its columns as wide as the formatter makes them. */
export function table(heads, lines) {
  const all = [heads, ...lines].map((line) => line.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = heads.map((_, n) => Math.max(3, ...all.map((line) => line[n].length)));
  const print = (line) => `| ${line.map((cell, n) => cell.padEnd(widths[n])).join(" | ")} |`;
  const [head, ...rest] = all;
  return [print(head), print(widths.map((width) => "-".repeat(width))), ...rest.map(print)].join(
    "\n",
  );
}

/** The tables of one phase: one row for each row and x, a column for each value and each ratio of it. */
export function phaseTable({ axis, columns }, { points }) {
  const present = columns.filter(({ key }) => points.some(({ values }) => values[key]));
  const heads = [
    "row",
    ...(axis === undefined ? [] : [axis.title]),
    ...present.flatMap(({ title, against = [] }) => [title, ...against.map((base) => `× ${base}`)]),
  ];
  const lines = points.map(({ row, x, values }) => [
    row,
    ...(axis === undefined ? [] : [axisText(axis, x)]),
    ...present.flatMap(({ key, against = [] }) => {
      const value = values[key];
      return [
        value === undefined ? "" : short(value.median),
        ...against.map((base) =>
          value?.ratios?.[base] === undefined ? "" : ratio(value.ratios[base]),
        ),
      ];
    }),
  ]);
  return table(heads, lines);
}

/** The whole report in Markdown. */
export function markdown(results, phases) {
  const { date, machine, versions } = results;
  const known = phases.filter(({ name }) => results.phases[name] !== undefined);
  const parts = known.map((phase) => {
    const result = results.phases[phase.name];
    const failures = Object.entries(result.failed).map(([row, why]) => `- ${row} failed: ${why}`);
    const plot = result.points.length > 0 ? `![${phase.title}](${phase.name}.svg)\n\n` : "";
    return `## ${phase.title}\n\n${phase.about}\n\n${plot}${phaseTable(phase, result)}\n${failures.length > 0 ? `\n${failures.join("\n")}\n` : ""}`;
  });
  return `# Measured on ${date.slice(0, 10)}

${describe(machine, versions)} A figure is the median of the rounds. A ratio (×) is the median of the ratios of single rounds, with quartiles in brackets.

${parts.join("\n")}`;
}

/** One line on what was measured. */
export const describe = (machine, versions) => {
  const { node, holdfast, commit, sdk, ...peers } = versions;
  const others = Object.entries(peers).map(([name, version]) => `, ${name} ${version}`);
  return `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.os}; Node ${node}; Holdfast ${holdfast} (${commit}), SDK ${sdk}${others.join("")}.`;
};
