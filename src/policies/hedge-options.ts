import * as z from "zod";
import { longestMs } from "./limits-options.ts";

/** The options of hedging. */
export const hedgeOptions = z.strictObject({
  enabled: z
    .boolean()
    .describe("Whether a call of a tool that only reads is sent again when its answer is slow.")
    .default(false),
  afterMs: z
    .int()
    .min(0)
    .max(longestMs)
    .describe("Milliseconds without an answer before another call is sent.")
    .default(2000),
  maxExtra: z.int().min(1).max(10).describe("Calls that are sent beside the first.").default(1),
  budgetRatio: z
    .number()
    .min(0)
    .max(1)
    .describe("Extra calls in the last 10 seconds at most, as a share of the calls.")
    .default(0.1),
  budgetFloor: z
    .int()
    .min(0)
    .max(100_000)
    .describe("Extra calls in 10 seconds that are allowed however few calls there are.")
    .default(3),
});

/** The options in force. */
export type HedgeOptions = z.output<typeof hedgeOptions>;
