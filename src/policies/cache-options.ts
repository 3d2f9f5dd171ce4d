import * as z from "zod";
import { longestMs } from "./limits-options.ts";

/** The options of the cache. */
export const cacheOptions = z.strictObject({
  enabled: z.boolean().describe("Whether answers of tools that only read are kept.").default(false),
  ttlMs: z
    .int()
    .min(1)
    .max(longestMs)
    .describe("Milliseconds that an answer is fresh at first.")
    .default(300_000),
  minTtlMs: z
    .int()
    .min(1)
    .max(longestMs)
    .describe("Milliseconds below which adapting does not go; never more than ttlMs.")
    .default(60_000),
  maxTtlMs: z
    .int()
    .min(1)
    .max(longestMs)
    .describe("Milliseconds above which adapting does not go; never less than ttlMs.")
    .default(3_600_000),
  hitRateTarget: z
    .number()
    .min(0)
    .max(1)
    .describe("Share of hits that the times are steered toward.")
    .default(0.8),
  maxEntries: z
    .int()
    .min(1)
    .max(10_000_000)
    .describe("Answers that are kept of a server at most; the one longest unused goes first.")
    .default(1000),
  maxBytes: z
    .int()
    .min(1024)
    .max(64 * 1024 ** 3)
    .describe("Bytes of answers that are kept of a server at most.")
    .default(64 * 1024 ** 2),
  staleMs: z
    .int()
    .min(0)
    .max(longestMs)
    .describe(
      "Milliseconds after its time in which an answer is still given, while a new one is fetched or where that fails; 0: none.",
    )
    .default(0),
  warm: z
    .array(z.record(z.string(), z.unknown()))
    .describe("Arguments with which the tool is called when its server connects.")
    .default([]),
});

/** The options in force. */
export type CacheOptions = z.output<typeof cacheOptions>;

/** The options in force where those of `written` are given: always minTtlMs <= ttlMs <= maxTtlMs. */
export function completeCache(written: z.input<typeof cacheOptions>): CacheOptions {
  const options = cacheOptions.parse(written);
  const { ttlMs } = options;
  return {
    ...options,
    minTtlMs: Math.min(options.minTtlMs, ttlMs),
    maxTtlMs: Math.max(options.maxTtlMs, ttlMs),
  };
}
