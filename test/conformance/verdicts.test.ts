import { describe, expect, it } from "vitest";
import { judge } from "./verdicts.mjs";

const place = { suite: "s", way: "stdio", scenario: "tools-list" };
const nothing = { notApplicable: {}, failures: [] };
const check = (id: string, status: string) => ({ id, status, description: id });

describe("what becomes of a scenario", () => {
  it("passes where every check does", () => {
    const checks = [check("a", "SUCCESS"), check("b", "INFO")];
    expect(judge(place, checks, checks, nothing, new Set()).state).toBe("passed");
  });

  it.each(["FAILURE", "WARNING"])("fails for a check that ends as %s", (status) => {
    const { state, problems } = judge(place, [check("a", status)], [], nothing, new Set());
    expect(state).toBe("failed");
    expect(problems).toEqual([expect.stringContaining("a")]);
  });

  it.each([
    ["is skipped", [check("a", "SUCCESS"), check("b", "SKIPPED")]],
    ["is not there", [check("a", "SUCCESS")]],
  ])("fails for a check that passes directly and %s with the gateway", (_, checks) => {
    const direct = [check("a", "SUCCESS"), check("b", "SUCCESS")];
    const { state, problems } = judge(place, checks, direct, nothing, new Set());
    expect(state).toBe("failed");
    expect(problems).toEqual([expect.stringContaining("b")]);
  });

  it("fails where it did not run", () => {
    expect(judge(place, undefined, [], nothing, new Set()).state).toBe("failed");
  });

  it("is left out only where a reason is given for its way", () => {
    const expected = { notApplicable: { stdio: { "tools-*": "why" } }, failures: [] };
    const failing = [check("a", "FAILURE")];
    expect(judge(place, failing, [], expected, new Set()).state).toBe("notApplicable");
    const elsewhere = { ...place, way: "http" };
    expect(judge(elsewhere, failing, [], expected, new Set()).state).toBe("failed");
  });

  it("tells which expected failures came true, and fails for any other", () => {
    const entry = { scenario: "tools-list", ways: ["stdio"], check: "a", reason: "why" };
    const expected = { notApplicable: {}, failures: [entry] };
    const met = new Set();
    expect(judge(place, [check("a", "FAILURE")], [], expected, met).state).toBe("expected");
    expect(met).toEqual(new Set([entry]));
    const both = [check("a", "FAILURE"), check("b", "FAILURE")];
    expect(judge(place, both, [], expected, new Set()).state).toBe("failed");
    const unmet = new Set();
    expect(judge(place, [check("a", "SUCCESS")], [], expected, unmet).state).toBe("passed");
    expect(unmet.size).toBe(0);
  });
});
