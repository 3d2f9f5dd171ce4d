import { expect, test } from "vitest";
import { readme } from "../../bench/report/headline.mjs";

test("README's table of speed is that of bench/results (npm run bench -- --readme writes it)", () => {
  const { now, wanted } = readme();
  expect(now).toBe(wanted);
  expect(now).toContain("**holdfast**");
});
