import { describe, expect, it } from "vitest";
import { provider, type Provider } from "../../src/groups/group-options.ts";
import { choose, isFit } from "../../src/groups/select.ts";

const one = (tool: string, over: Partial<Provider> = {}): Provider =>
  provider.parse({ tool, ...over });

describe("choose", () => {
  const candidates = [
    { provider: one("good", { priceUsd: 0.01, reputation: 95 }), meanMs: 900, successRate: 1 },
    { provider: one("cheap", { priceUsd: 0.001, reputation: 40 }), meanMs: 2000, successRate: 1 },
    { provider: one("fast", { priceUsd: 0.02, reputation: 60 }), meanMs: 50, successRate: 1 },
    { provider: one("fair", { priceUsd: 0.002, reputation: 85 }), meanMs: 300, successRate: 1 },
  ];

  it.each([
    ["best", "good"],
    ["cheapest", "cheap"],
    ["fastest", "fast"],
    ["balanced", "fair"],
  ] as const)("takes by %s: %s", (strategy, tool) => {
    expect(choose(candidates, strategy)?.provider.tool).toBe(tool);
  });

  it("takes failures for a lack of quality", () => {
    const failing = candidates.map((candidate, n) =>
      n === 0 ? { ...candidate, successRate: 0.5 } : candidate,
    );
    expect(choose(failing, "best")?.provider.tool).toBe("fair");
  });

  it("takes the earlier of two that are equal, and none where there is none", () => {
    const twins = ["a", "b"].map((tool) => ({
      provider: one(tool),
      meanMs: undefined,
      successRate: undefined,
    }));
    for (const strategy of ["best", "cheapest", "fastest", "balanced"] as const)
      expect(choose(twins, strategy)?.provider.tool).toBe("a");
    expect(choose([], "best")).toBeUndefined();
  });
});

describe("isFit", () => {
  const german = one("g", { capabilities: ["de", "en"], priceUsd: 0.005, reputation: 70 });

  it("wants all capabilities, the price and the reputation", () => {
    expect(isFit(german, {})).toBe(true);
    expect(isFit(german, { capabilities: ["de"], maxPriceUsd: 0.005, minReputation: 70 })).toBe(
      true,
    );
    expect(isFit(german, { capabilities: ["de", "fr"] })).toBe(false);
    expect(isFit(german, { maxPriceUsd: 0.004 })).toBe(false);
    expect(isFit(german, { minReputation: 71 })).toBe(false);
  });
});
