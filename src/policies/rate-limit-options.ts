import * as z from "zod";
import { longestMs } from "./limits-options.ts";

/** The options of the rate limit. */
export const rateLimitOptions = z.strictObject({
  requestsPerSecond: z
    .number()
    .min(0)
    .max(1_000_000)
    .describe("Calls a second in the long run; 0: no limit but what the server itself asks for.")
    .default(0),
  burst: z
    .int()
    .min(0)
    .max(1_000_000)
    .describe(
      "Calls that may go at once after a quiet time; 0: as many as in one second, at least 1.",
    )
    .default(0),
  quotaPerMinute: z
    .int()
    .min(0)
    .max(60_000_000)
    .describe(
      "Calls a minute that the server's owner allows; where requestsPerSecond is 0, headroom of it is used. 0: not known.",
    )
    .default(0),
  headroom: z
    .number()
    .min(0.01)
    .max(1)
    .describe("Share of quotaPerMinute that is used.")
    .default(0.8),
  maxWaitMs: z
    .int()
    .min(0)
    .max(longestMs)
    .describe("Milliseconds that a call waits for its turn at most; else it is refused at once.")
    .default(30_000),
  maxQueue: z
    .int()
    .min(0)
    .max(100_000)
    .describe("Calls that wait for their turn at most.")
    .default(100),
});

/** The options in force. */
export type RateLimitOptions = z.output<typeof rateLimitOptions>;
