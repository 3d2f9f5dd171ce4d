import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BudgetLedger } from "../../src/budget-ledger.ts";
import type { Handle, Result } from "../../src/call.ts";
import { CallError, cancelled } from "../../src/errors.ts";
import { budget } from "../../src/policies/budget.ts";
import { call, ok, outcomeOf, recorder, scripted } from "../support/calls.ts";

let folder = "";
let ledger: BudgetLedger;
const openLedger = (): BudgetLedger =>
  new BudgetLedger(folder, (problem) => {
    throw new Error(problem);
  });
beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 18), toFake: ["Date"] });
  folder = mkdtempSync(join(tmpdir(), "holdfast-"));
  ledger = openLedger();
});
afterEach(async () => {
  await ledger.close();
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

const none = { perCallUsd: 0, perDayUsd: 0, perSessionUsd: 0, alertRatio: 0.8 };
const all = (options: Partial<typeof none>) => ({
  account: "all",
  options: { ...none, ...options },
});

function wrap(
  inner: Handle,
  usd: number,
  budgets = [all({ perDayUsd: 10 })],
  use = ledger,
): { handle: Handle; told: () => unknown[]; spent: number[] } {
  const { report, events } = recorder();
  const spent: number[] = [];
  const policy = budget({
    costOf: () => usd,
    budgetsOf: () => budgets,
    ledger: use,
    report,
    spent: (_call, cost) => spent.push(cost),
  });
  return { handle: policy(inner), told: () => events, spent };
}

const answering: Handle = () => Promise.resolve(ok());
const dayOf = (): number => ledger.day("all", "local").usd;

/** An upstream whose calls end when the test says so. */
function pending(): { handle: Handle; answer: (result: Result) => void } {
  const waiting: ((result: Result) => void)[] = [];
  return {
    handle: () => new Promise((resolve) => waiting.push(resolve)),
    answer: (result) => waiting.forEach((resolve) => resolve(result)),
  };
}

describe("budget", () => {
  it("refuses the call that would be too much, before it is sent, and says what is spent of what", async () => {
    const { handle: inner, seen } = scripted(ok(), ok(), ok());
    const { handle, spent } = wrap(inner, 4);
    await handle(call());
    await handle(call());
    expect(await outcomeOf(handle(call()))).toMatchObject({
      code: "budget_spent",
      outcome: "failed",
      local: true,
      message:
        "the budget per day of all servers does not allow it: 8 of 10 USD are spent, and this costs 4 USD",
      retryAfterMs: 6 * 3_600_000,
    });
    expect(seen).toHaveLength(2);
    expect(spent).toEqual([4, 4]);
  });

  it("lets a budget be spent to its end, whatever decimal fractions add up to", async () => {
    const { handle } = wrap(answering, 0.1, [all({ perDayUsd: 0.3 })]);
    for (let n = 0; n < 3; n++) expect(await handle(call())).toEqual(ok());
    expect(await outcomeOf(handle(call()))).toMatchObject({
      message: expect.stringContaining("0.3 of 0.3 USD are spent, and this costs 0.1 USD"),
    });
  });

  it("does not let calls side by side overspend together", async () => {
    const { handle: inner, answer } = pending();
    const { handle } = wrap(inner, 1);
    const outcomes = Promise.all(Array.from({ length: 50 }, () => outcomeOf(handle(call()))));
    answer(ok());
    const refused = (await outcomes).filter((outcome) => outcome instanceof CallError);
    expect(refused).toHaveLength(40);
    expect(dayOf()).toBe(10);
  });

  it.each([
    ["failed before anything was done", new CallError("unavailable", "", { outcome: "failed" }), 0],
    ["was cancelled before it was sent", cancelled("enough"), 0],
    ["was cancelled after it was sent", cancelled("enough", true), 1],
    ["may have happened", new CallError("timeout", "", { outcome: "unknown" }), 1],
    ["was refused by the tool", new CallError("upstream_error", "", { outcome: "answered" }), 1],
    ["threw what is no CallError", new TypeError("defect"), 1],
  ])("knows the cost of an attempt that %s", async (_name, error, usd) => {
    const { handle, spent } = wrap(() => Promise.reject(error), 1);
    expect(await outcomeOf(handle(call()))).toBe(error);
    expect(dayOf()).toBe(usd);
    expect(spent).toHaveLength(usd);
  });

  it("counts sessions apart, and does not say when to try again where waiting does not help", async () => {
    const { handle } = wrap(answering, 1, [all({ perSessionUsd: 1 })]);
    const caller = { ...call().caller, session: "other" };
    await handle(call());
    await handle(call({ caller }));
    expect(await outcomeOf(handle(call()))).toMatchObject({
      message: expect.stringContaining("the budget per session of all servers"),
      retryAfterMs: undefined,
    });
    const tooDear = wrap(answering, 11);
    expect(await outcomeOf(tooDear.handle(call()))).toMatchObject({ retryAfterMs: undefined });
  });

  it("bounds what all attempts at one call cost, by the tightest of its budgets", async () => {
    const tight = { account: "tool up do", options: { ...none, perCallUsd: 2 } };
    const { handle } = wrap(answering, 1, [all({ perCallUsd: 3 }), tight]);
    const request = call();
    await handle(request);
    await handle({ ...request });
    expect(await outcomeOf(handle({ ...request }))).toMatchObject({
      message:
        "the budget per call of tool up do does not allow it: 2 of 2 USD are spent, and this costs 1 USD",
    });
    expect(await handle(call())).toEqual(ok());
  });

  it("takes from every budget of a call, and from none where one is spent", async () => {
    const server = { account: "server up", options: { ...none, perDayUsd: 1 } };
    const { handle } = wrap(answering, 1, [all({ perDayUsd: 10 }), server]);
    await handle(call());
    expect(await outcomeOf(handle(call()))).toMatchObject({
      message: expect.stringContaining("of server up does not"),
    });
    expect(dayOf()).toBe(1);
    expect(ledger.day("server up", "local").usd).toBe(1);
  });

  it("tells once that most of a budget is spent", async () => {
    const { handle, told } = wrap(answering, 1, [all({ perDayUsd: 10, perSessionUsd: 5 })]);
    for (let n = 0; n < 3; n++) await handle(call());
    expect(told()).toEqual([]);
    for (let n = 0; n < 2; n++) await handle(call());
    expect(told()).toEqual([
      { type: "budget.alert", account: "all", budget: "session", spentUsd: 4, limitUsd: 5 },
    ]);
    const caller = { ...call().caller, session: "other" };
    for (let n = 0; n < 5; n++) await handle(call({ caller }));
    expect(told().slice(1)).toEqual([
      { type: "budget.alert", account: "all", budget: "day", spentUsd: 8, limitUsd: 10 },
      { type: "budget.alert", account: "all", budget: "session", spentUsd: 4, limitUsd: 5 },
    ]);
  });

  it("remembers over a restart, and begins anew at midnight, with its alerts", async () => {
    await wrap(answering, 9).handle(call());
    await ledger.close();
    const restarted = openLedger();
    const { handle, told } = wrap(answering, 9, undefined, restarted);
    expect(await outcomeOf(handle(call()))).toMatchObject({ code: "budget_spent" });
    vi.setSystemTime(Date.UTC(2026, 0, 2));
    expect(await handle(call())).toEqual(ok());
    expect(told()).toHaveLength(1);
    await restarted.close();
  });

  it("gives what was booked before midnight back to the day before", async () => {
    const inner: Handle = () => {
      vi.setSystemTime(Date.UTC(2026, 0, 2));
      return Promise.reject(new CallError("unavailable", "", { outcome: "failed" }));
    };
    await outcomeOf(wrap(inner, 5).handle(call()));
    expect(dayOf()).toBe(0);
  });

  it("hands on the promise of a call that costs nothing", () => {
    const promise = Promise.resolve(ok());
    const { handle } = wrap(() => promise, 0);
    expect(handle(call())).toBe(promise);
  });

  it("tells the cost of a call that no budget bounds", async () => {
    const { handle, spent } = wrap(answering, 2, []);
    await handle(call());
    expect(spent).toEqual([2]);
  });
});
