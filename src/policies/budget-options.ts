import * as z from "zod";

const usd = z.number().min(0).max(1_000_000_000);

/** The options of a budget in money. */
export const budgetOptions = z.strictObject({
  perCallUsd: usd.describe("US dollars that one call may cost at most; 0: any.").default(0),
  perDayUsd: usd
    .describe("US dollars that a caller may spend a day (UTC); 0: any. Kept over restarts.")
    .default(0),
  perSessionUsd: usd.describe("US dollars that one session may spend; 0: any.").default(0),
  alertRatio: z
    .number()
    .min(0)
    .max(1)
    .describe("Share of a budget whose spending is told.")
    .default(0.8),
});

/** The options in force. */
export type BudgetOptions = z.output<typeof budgetOptions>;
