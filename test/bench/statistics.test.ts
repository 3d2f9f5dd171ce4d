import { expect, test } from "vitest";
import { quantile, summarise } from "../../bench/report/statistics.mjs";

const sample = (row: string, round: number, ms: number, x?: number) => ({
  row,
  round,
  x,
  values: { ms },
});

test("a quantile lies between its neighbours in proportion", () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([10, 20, 30, 40, 50], 0.25)).toBe(20);
  expect(quantile([7], 0.75)).toBe(7);
});

test("a ratio is the median of the ratios of single rounds, not a ratio of medians", () => {
  const samples = [
    ...[10, 100, 1000].map((ms, round) => sample("base", round, ms)),
    ...[30, 100, 2000].map((ms, round) => sample("own", round, ms)),
  ];
  const own = summarise(samples, { ms: ["base"] }).find(({ row }) => row === "own");
  expect(own?.values).toMatchObject({ ms: { median: 100, ratios: { base: { median: 2 } } } });
});

test("each place on an axis is a point of its own, with ratios to the same place", () => {
  const points = summarise(
    [
      sample("base", 0, 1, 1),
      sample("own", 0, 2, 1),
      sample("base", 0, 10, 8),
      sample("own", 0, 50, 8),
    ],
    { ms: ["base"] },
  ).filter(({ row }) => row === "own");
  expect(points).toMatchObject([
    { x: 1, values: { ms: { ratios: { base: { median: 2 } } } } },
    { x: 8, values: { ms: { ratios: { base: { median: 5 } } } } },
  ]);
});

test("a row has no ratio to itself", () => {
  const [base] = summarise([sample("base", 0, 2)], { ms: ["base"] });
  expect(base?.values).toEqual({ ms: { median: 2, low: 2, high: 2 } });
});

test("a round that the other row did not finish has no ratio", () => {
  const [own] = summarise([sample("own", 0, 2)], { ms: ["base"] });
  expect(own?.values).toEqual({ ms: { median: 2, low: 2, high: 2 } });
});
