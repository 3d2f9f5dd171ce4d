import { bars, figure, lines } from "./svg.mjs";
import { axisText } from "./tables.mjs";

const fewest = 4;

/**
 * The plot of a phase: bars of each column; of the first column for each x, where there are few; else a curve of
 * each column over x.
 */
export function plot({ axis, columns }, { points }) {
  const present = columns.filter(({ key }) => points.some(({ values }) => values[key]));
  const xs = [...new Set(points.map(({ x }) => x))];
  const xText = (x) => axisText(axis, x);
  const values = (key, x) =>
    points
      .filter((point) => point.x === x && point.values[key] !== undefined)
      .map((point) => ({ name: point.row, value: point.values[key].median }));
  if (xs.length >= fewest)
    return figure(
      present.map(({ key, title }) =>
        lines({
          title,
          note: note(key),
          xTitle: axis.title,
          xText,
          isLinear: axis.isLinear ?? false,
          series: series(points, key),
        }),
      ),
    );
  if (axis !== undefined)
    return figure(
      xs.map((x) =>
        bars({
          title: `${present[0].title} · ${xText(x)} ${axis.of === "bytes" ? "" : axis.title}`,
          note: `${note(present[0].key)} · logarithmic`,
          values: values(present[0].key, x),
        }),
      ),
    );
  return figure(
    present.map(({ key, title }) =>
      bars({ title, note: `${note(key)} · logarithmic`, values: values(key) }),
    ),
  );
}

const note = (key) => `${key === "callsPerSecond" ? "more" : "less"} is better`;

function series(points, key) {
  const own = points.filter(({ values }) => values[key] !== undefined);
  const names = [...new Set(own.map(({ row }) => row))];
  return names.map((name) => ({
    name,
    points: own.filter(({ row }) => row === name).map(({ x, values }) => ({ x, ...values[key] })),
  }));
}
