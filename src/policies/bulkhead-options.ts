import * as z from "zod";

/** The options of the bulkhead. */
export const bulkheadOptions = z.strictObject({
  maxConcurrent: z
    .int()
    .min(1)
    .max(100_000)
    .describe("Calls that a server works on at once.")
    .default(64),
  maxQueue: z
    .int()
    .min(0)
    .max(1_000_000)
    .describe("Calls that wait for a free place at most.")
    .default(1000),
});

/** The options in force. */
export type BulkheadOptions = z.output<typeof bulkheadOptions>;
