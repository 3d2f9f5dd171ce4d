import * as z from "zod";

import { longestMs } from "./limits-options.ts";

/** The options of the timeout policy. */
export const timeoutOptions = z.strictObject({
  attemptMs: z
    .int()
    .min(1)
    .max(longestMs)
    .describe("Milliseconds that one attempt may take from its start; never more than totalMs.")
    .default(30_000),
  totalMs: z
    .int()
    .min(1)
    .max(longestMs)
    .describe(
      "Milliseconds that a call may take in all: queues, attempts and the pauses between them. Where it is not given and attemptMs is longer, attemptMs.",
    )
    .default(60_000),
  resetOnProgress: z
    .boolean()
    .describe("Whether progress starts the time of the attempt and of the call again.")
    .default(true),
  maxTotalMs: z
    .int()
    .min(1)
    .max(longestMs)
    .describe(
      "Milliseconds after which a call ends whatever its progress. Where it is not given and totalMs is longer, totalMs.",
    )
    .default(600_000),
});

/** The options in force. Always attemptMs <= totalMs <= maxTotalMs. */
export type TimeoutOptions = z.output<typeof timeoutOptions>;

/** The options in force where those of `written` are given. */
export function completeTimeout(written: z.input<typeof timeoutOptions>): TimeoutOptions {
  const { attemptMs, totalMs, resetOnProgress, maxTotalMs } = timeoutOptions.parse(written);
  const max = written.maxTotalMs ?? Math.max(maxTotalMs, written.totalMs ?? attemptMs);
  const total = Math.min(written.totalMs ?? Math.max(totalMs, attemptMs), max);
  return {
    attemptMs: Math.min(attemptMs, total),
    totalMs: total,
    resetOnProgress,
    maxTotalMs: max,
  };
}
