import { Amount, type BudgetLedger } from "../budget-ledger.ts";
import type { Call, JsonObject, Middleware } from "../call.ts";
import { asCallError, CallError } from "../errors.ts";
import type { Report } from "../events.ts";
import type { BudgetOptions } from "./budget-options.ts";

/** A budget, and who shares it: `all`, `server NAME` or `tool SERVER NAME`. */
interface Budget {
  readonly account: string;
  readonly options: BudgetOptions;
}

/** What a budget needs to know. */
export interface BudgetSurroundings {
  /** What an attempt at a call costs, in US dollars. */
  readonly costOf: (call: Call) => number;
  /** The budgets that a call must all fit in. */
  readonly budgetsOf: (call: Call) => readonly Budget[];
  readonly ledger: Pick<BudgetLedger, "day" | "session">;
  readonly report: Report;
  /** Told what an attempt has cost, where it has cost anything. */
  readonly spent: (call: Call, usd: number) => void;
}

/** A budget that concerns a call, and what was spent of it. */
interface Bound {
  readonly budget: "call" | "session" | "day";
  readonly account: string;
  readonly limitUsd: number;
  readonly alertUsd: number;
  readonly amount: Amount;
}

/** Sums of decimal fractions are off by less, in US dollars. */
const rounding = 1e-9;

const dayMs = 86_400_000;

/**
 * Refuses calls for which there is no money left. Money is booked before a call is sent, so that calls side by
 * side cannot overspend together, and given back where nothing was done. Inside of `retry`: each attempt costs.
 */
export const budget = (around: BudgetSurroundings): Middleware => {
  // The parameters are what all attempts at a call have in common, hedges too, and no other call.
  const calls = new WeakMap<JsonObject, Amount>();
  return (next) => (call) => {
    const usd = around.costOf(call);
    if (usd === 0) return next(call);
    const bounds = boundsOf(call, around, calls);
    const exceeded = bounds.find((bound) => bound.amount.usd + usd > bound.limitUsd + rounding);
    if (exceeded !== undefined) return Promise.reject(refusal(call, usd, exceeded));
    for (const { amount } of bounds) amount.add(usd);
    return next(call).then(
      (result) => {
        settle(call, usd, bounds, around);
        return result;
      },
      (error: unknown) => {
        if (asCallError(error).outcome === "failed")
          for (const { amount } of bounds) amount.add(-usd);
        else settle(call, usd, bounds, around);
        throw error;
      },
    );
  };
};

function boundsOf(
  call: Call,
  { budgetsOf, ledger }: BudgetSurroundings,
  calls: WeakMap<JsonObject, Amount>,
): Bound[] {
  const { principal, session } = call.caller;
  const bounds: Bound[] = [];
  let ofCall: Bound | undefined;
  for (const { account, options } of budgetsOf(call)) {
    const { perCallUsd, perSessionUsd, perDayUsd, alertRatio } = options;
    if (perCallUsd > 0 && perCallUsd < (ofCall?.limitUsd ?? Infinity))
      ofCall = {
        budget: "call",
        account,
        limitUsd: perCallUsd,
        alertUsd: Infinity,
        amount: attemptsOf(call, calls),
      };
    if (perSessionUsd > 0)
      bounds.push({
        budget: "session",
        account,
        limitUsd: perSessionUsd,
        alertUsd: alertRatio * perSessionUsd,
        amount: ledger.session(account, session),
      });
    if (perDayUsd > 0)
      bounds.push({
        budget: "day",
        account,
        limitUsd: perDayUsd,
        alertUsd: alertRatio * perDayUsd,
        amount: ledger.day(account, principal),
      });
  }
  return ofCall === undefined ? bounds : [ofCall, ...bounds];
}

/** What all attempts at a call have cost so far. */
function attemptsOf({ params }: Call, calls: WeakMap<JsonObject, Amount>): Amount {
  const known = calls.get(params);
  if (known !== undefined) return known;
  const amount = new Amount();
  calls.set(params, amount);
  return amount;
}

/** What was booked is spent. */
function settle(
  call: Call,
  usd: number,
  bounds: readonly Bound[],
  { report, spent }: BudgetSurroundings,
): void {
  spent(call, usd);
  for (const { budget: which, account, limitUsd, alertUsd, amount } of bounds) {
    if (amount.usd + rounding < alertUsd || amount.toldUsd === alertUsd) continue;
    amount.toldUsd = alertUsd;
    const spentUsd = rounded(amount.usd);
    report({ type: "budget.alert", budget: which, account, spentUsd, limitUsd });
  }
}

function refusal(
  call: Call,
  usd: number,
  { budget: per, account, limitUsd, amount }: Bound,
): CallError {
  const whose = account === "all" ? "all servers" : account;
  const message = `the budget per ${per} of ${whose} does not allow it: ${rounded(amount.usd)} of ${limitUsd} USD are spent, and this costs ${rounded(usd)} USD`;
  const laterHelps = per === "day" && usd <= limitUsd;
  return new CallError("budget_spent", message, {
    outcome: "failed",
    local: true,
    upstream: call.upstream,
    ...(laterHelps && { retryAfterMs: dayMs - (Date.now() % dayMs) }),
  });
}

/** For people: without what sums of decimal fractions are off by. */
const rounded = (usd: number): number => Number(usd.toPrecision(9));
