import {
  completePolicy,
  policyOptions,
  type PolicyName,
  type PolicyOptions,
} from "../policies/all-options.ts";
import type { BudgetOptions } from "../policies/budget-options.ts";
import { mergeLevels, type Level } from "./levels.ts";
import type { Policies } from "./schema.ts";

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the object is a literal
const policyNames = Object.keys(policyOptions) as PolicyName[];

/** One level of the file that may say something about policies. */
export type PolicyLevel = Policies | undefined;

/**
 * The options in force where these levels are given, the outermost first. Of a policy that the innermost level
 * does not mention, those of `around` are kept as the very object, so that who has them shares its state.
 */
export function resolvePolicies(
  levels: readonly PolicyLevel[],
  around?: PolicyOptions,
): PolicyOptions {
  const innermost = levels.at(-1);
  const resolved = policyNames.map((name) => {
    if (around !== undefined && innermost?.[name] === undefined) return [name, around[name]];
    const written = mergeLevels(levels.map((level): Level<object> => level?.[name]));
    return [name, written && completePolicy(name, written)];
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries forgets the keys
  return Object.fromEntries(resolved) as PolicyOptions;
}

/** A budget, and the account that it bounds. */
export interface BudgetAccount {
  /** Who shares it: `all`, `server NAME` or `tool SERVER NAME`. */
  readonly account: string;
  readonly options: BudgetOptions;
}

/** The budgets that a call must fit in. A level's `false` ends those around it. */
export function resolveBudgets(
  levels: readonly { readonly account: string; readonly policies: PolicyLevel }[],
): BudgetAccount[] {
  let accounts: BudgetAccount[] = [];
  for (const { account, policies } of levels) {
    const written = policies?.budget;
    if (written === false) accounts = [];
    else if (written !== undefined)
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- completed by its own schema
      accounts.push({ account, options: completePolicy("budget", written) as BudgetOptions });
  }
  return accounts;
}
