import { expect, test } from "vitest";
import { phaseTable, short, table } from "../../bench/report/tables.mjs";

test("figures are shown with three that count", () => {
  expect([0.0512, 1.234, 12.34, 123.4, 171_500].map(short)).toEqual([
    "0.051",
    "1.23",
    "12.3",
    "123",
    "171,500",
  ]);
});

test("columns are as wide as the formatter makes them", () => {
  expect(table(["a", "figure"], [["row", "1"]])).toBe(
    "| a   | figure |\n| --- | ------ |\n| row | 1      |",
  );
});

test("a ratio is shown with its quartiles where there is one, and bytes with a unit", () => {
  const value = {
    median: 2,
    low: 1,
    high: 3,
    ratios: { base: { median: 2, low: 1.5, high: 2.5 } },
  };
  const shown = phaseTable(
    {
      axis: { title: "result", of: "bytes" },
      columns: [
        { key: "ms", title: "ms", against: ["base"] },
        { key: "none", title: "none" },
      ],
    },
    {
      points: [
        { row: "base", x: 64, values: { ms: { median: 2, low: 1, high: 3 } } },
        { row: "own", x: 2 ** 20, values: { ms: value } },
      ],
    },
  );
  expect(
    shown.split("\n").map((line: string) => line.split("|").map((cell) => cell.trim())),
  ).toEqual([
    ["", "row", "result", "ms", "× base", ""],
    ["", "----", "------", "----", "----------------", ""],
    ["", "base", "64 B", "2.00", "", ""],
    ["", "own", "1 MiB", "2.00", "2.00 (1.50–2.50)", ""],
  ]);
});
