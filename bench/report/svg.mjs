// Plots as SVG, drawn here: bars and lines in panels, readable on a light and on a dark page.
import { short } from "./tables.mjs";

const panel = { width: 410, gap: 20, top: 44, label: 118, value: 62, bar: 16, row: 24 };
const style = `text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 12px; fill: #24292f }
.title { font-size: 14px; font-weight: 600 }
.quiet { fill: #656d76 }
.own { font-weight: 600 }
.grid { stroke: #d0d7de; stroke-width: 1 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .quiet { fill: #9198a1 } .grid { stroke: #30363d } }`;

const colours = {
  direct: "#8c959f",
  "direct-sdk": "#a98467",
  "direct-http": "#57a0a8",
  "raw-best": "#2da44e",
  holdfast: "#f0643c",
  "holdfast-again": "#f59f6b",
  "holdfast-reads": "#f59f6b",
  "holdfast-http": "#d6498f",
  "sdk-minimal": "#4184e4",
};
const anyOther = "#9a8fd8";

const escape = (text) =>
  String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const round = (value) => Math.round(value * 10) / 10;
const text = (x, y, words, attributes = "") =>
  `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escape(words)}</text>`;
const line = (x1, y1, x2, y2) =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" class="grid"/>`;

/** The same colour for the same row in every plot; those that are only ever bars share one. */
const colourOf = (name) => colours[name] ?? anyOther;

/** Powers of ten, and what is between them where there are few. */
function logTicks(low, high) {
  const steps = high / low > 200 ? [1] : high / low > 5 ? [1, 2, 5] : [1, 1.5, 2, 3, 5, 7];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const step of steps) ticks.push(step * 10 ** power);
  return ticks.filter((tick) => tick >= low && tick <= high);
}

function linearTicks(high) {
  const rough = high / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((each) => each * power >= rough) * power;
  return Array.from({ length: Math.floor(high / step) + 1 }, (_, n) => n * step);
}

/** From values to pixels: logarithmic, or linear from 0 on. */
function scale(values, isLinear, from, to) {
  const high = Math.max(...values) * 1.05;
  if (isLinear)
    return { at: (value) => from + ((to - from) * value) / high, ticks: linearTicks(high) };
  const low = Math.min(...values) / 1.05;
  const at = (value) => from + ((to - from) * Math.log(value / low)) / Math.log(high / low);
  return { at, ticks: logTicks(low, high) };
}

/** A panel of bars: [{ name, value }], the shortest of which has some length; on a logarithmic scale. */
export function bars({ title, note, values }) {
  const from = panel.label;
  const to = panel.width - panel.value;
  const amounts = values.map(({ value }) => value);
  const { at } = scale([Math.min(...amounts) / 2, Math.max(...amounts) / 1.05], false, from, to);
  const body = values.map(({ name, value }, n) => {
    const y = panel.top + n * panel.row;
    const own = name.startsWith("holdfast") ? "own" : "";
    return [
      text(from - 8, y + 12, name, `text-anchor="end" class="${own}"`),
      `<rect x="${from}" y="${y}" width="${round(at(value) - from)}" height="${panel.bar}" rx="2" fill="${colourOf(name)}"/>`,
      text(at(value) + 6, y + 12, short(value), `class="${own}"`),
    ].join("");
  });
  return {
    height: panel.top + values.length * panel.row + 8,
    body: [heading(title, note), ...body].join("\n"),
  };
}

/** A panel of lines: series [{ name, points: [{ x, median, low, high }] }], the quartiles as a band. */
export function lines({ title, note, xTitle, xText, isLinear, series }) {
  const area = { left: 58, right: panel.width - 120, top: panel.top + 8, bottom: 270 };
  const points = series.flatMap((each) => each.points);
  const xs = [...new Set(points.map(({ x }) => x))].toSorted((a, b) => a - b);
  const x = scale(xs, isLinear, area.left, area.right);
  const y = scale(
    points.flatMap(({ low, high }) => [low, high]),
    isLinear,
    area.bottom,
    area.top,
  );
  const isApart = (tick, other) =>
    x.at(tick) - x.at(other) > (xText(tick).length + xText(other).length) * 3.5 + 8;
  const xTicks = (isLinear ? x.ticks : xs).reduce(
    (kept, tick) => (kept.length === 0 || isApart(tick, kept.at(-1)) ? [...kept, tick] : kept),
    [],
  );
  const axes = [
    ...y.ticks.flatMap((tick) => [
      line(area.left, y.at(tick), area.right, y.at(tick)),
      text(area.left - 6, y.at(tick) + 4, brief(tick), 'text-anchor="end" class="quiet"'),
    ]),
    ...xTicks.map((tick) =>
      text(x.at(tick), area.bottom + 18, xText(tick), 'text-anchor="middle" class="quiet"'),
    ),
    text(
      (area.left + area.right) / 2,
      area.bottom + 36,
      xTitle,
      'text-anchor="middle" class="quiet"',
    ),
  ];
  const path = (values) => values.map(([a, b]) => `${round(x.at(a))},${round(y.at(b))}`).join(" ");
  const drawn = series.map(({ name, points: own }) => {
    const band = [
      ...own.map((point) => [point.x, point.low]),
      ...own.toReversed().map((point) => [point.x, point.high]),
    ];
    const colour = colourOf(name);
    return [
      `<polygon points="${path(band)}" fill="${colour}" opacity="0.15"/>`,
      `<polyline points="${path(own.map((point) => [point.x, point.median]))}" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"/>`,
    ].join("");
  });
  const ends = series.map(({ name, points: own }) => ({ name, y: y.at(own.at(-1).median) + 4 }));
  const legend = apart(ends).map((end) =>
    [
      `<circle cx="${area.right + 12}" cy="${round(end.y - 4)}" r="4" fill="${colourOf(end.name)}"/>`,
      text(area.right + 20, end.y, end.name, end.name.startsWith("holdfast") ? 'class="own"' : ""),
    ].join(""),
  );
  return {
    height: area.bottom + 48,
    body: [heading(title, note), ...axes, ...drawn, ...legend].join("\n"),
  };
}

/** Panels in two columns. */
export function figure(panels) {
  const columns = Math.min(2, panels.length);
  const width = columns * panel.width + (columns - 1) * panel.gap;
  let top = 0;
  const placed = [];
  for (let n = 0; n < panels.length; n += columns) {
    const beside = panels.slice(n, n + columns);
    for (const [column, { body }] of beside.entries())
      placed.push(
        `<g transform="translate(${column * (panel.width + panel.gap)} ${top})">${body}</g>`,
      );
    top += Math.max(...beside.map(({ height }) => height)) + panel.gap;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top}" width="${width}" height="${top}">
<style>
${style}
</style>
${placed.join("\n")}
</svg>
`;
}

const heading = (title, note) =>
  [text(0, 16, title, 'class="title"'), text(0, 33, note, 'class="quiet"')].join("");

/** 20000 as 20k. */
const brief = (value) => {
  const [unit, name] = [
    [1e6, "M"],
    [1e3, "k"],
  ].find(([least]) => value >= least) ?? [1, ""];
  return `${Number((value / unit).toPrecision(3))}${name}`;
};

/** Labels moved down until none covers another. */
function apart(labels) {
  const sorted = labels.toSorted((a, b) => a.y - b.y);
  for (let n = 1; n < sorted.length; n++) sorted[n].y = Math.max(sorted[n].y, sorted[n - 1].y + 15);
  return sorted;
}
