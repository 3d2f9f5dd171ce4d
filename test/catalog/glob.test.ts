import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matches } from "../../src/catalog/glob.ts";

/** The same by trying everything. */
function naive([first, ...rest]: readonly string[], text: readonly string[]): boolean {
  if (first === undefined) return text.length === 0;
  if (first === "*")
    return naive(rest, text) || (text.length > 0 && naive([first, ...rest], text.slice(1)));
  return text.length > 0 && (first === "?" || first === text[0]) && naive(rest, text.slice(1));
}

describe("matches", () => {
  it.each([
    ["*", ""],
    ["get_*", "get_"],
    ["*_b", "a_b_b"],
    ["a?c", "a\u{1f600}c"],
    ["a*", "a\nb"],
    ["drop[1].+(x)", "drop[1].+(x)"],
  ])("takes %j for %j", (pattern, text) => {
    expect(matches(pattern, text)).toBe(true);
  });

  it.each([
    ["", "a"],
    ["get_*", "forget_a"],
    ["a?c", "ac"],
    ["drop[1]", "drop1"],
    ["a*b*c", "acb"],
  ])("does not take %j for %j", (pattern, text) => {
    expect(matches(pattern, text)).toBe(false);
  });

  it("says the same as trying everything", () => {
    const pattern = fc.array(fc.constantFrom("a", "b", "*", "?", "\u{1f600}"), { maxLength: 8 });
    const text = fc.array(fc.constantFrom("a", "b", "*", "?", "\u{1f600}"), { maxLength: 10 });
    fc.assert(
      fc.property(pattern, text, (wanted, letters) => {
        expect(matches(wanted.join(""), letters.join(""))).toBe(naive(wanted, letters));
      }),
      { numRuns: 5000 },
    );
  });

  it("is not slowed by many stars", () => {
    const begun = performance.now();
    expect(matches(`${"*x".repeat(9)}y`, "x".repeat(60))).toBe(false);
    expect(matches(`${"*x".repeat(500)}y`, "x".repeat(5000))).toBe(false);
    expect(performance.now() - begun).toBeLessThan(1000);
  });
});
