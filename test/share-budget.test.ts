import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ShareBudget } from "../src/share-budget.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const taken = (budget: ShareBudget, tries: number, ratio: number, floor: number): number =>
  Array.from({ length: tries }, () => budget.take(ratio, floor)).filter(Boolean).length;

describe("ShareBudget", () => {
  it("gives a share of the calls", () => {
    const budget = new ShareBudget();
    for (let n = 0; n < 100; n++) budget.count();
    expect(taken(budget, 1000, 0.2, 10)).toBe(20);
  });

  it("gives its floor where there are few calls, and nothing with a floor of 0 and no calls", () => {
    expect(taken(new ShareBudget(), 1000, 0.2, 10)).toBe(10);
    expect(taken(new ShareBudget(), 1000, 0.2, 0)).toBe(0);
  });

  it("forgets after ten seconds", () => {
    const budget = new ShareBudget();
    for (let n = 0; n < 100; n++) budget.count();
    expect(taken(budget, 1000, 0.2, 10)).toBe(20);
    vi.advanceTimersByTime(8000);
    expect(budget.take(0.2, 10)).toBe(false);
    vi.advanceTimersByTime(3000);
    expect(taken(budget, 1000, 0.2, 10)).toBe(10);
  });
});
