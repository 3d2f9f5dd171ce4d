import { createRequire } from "node:module";
import * as z from "zod";
import type { Pattern } from "../classify.ts";
import { longestMs } from "./limits-options.ts";

const require = createRequire(import.meta.url);

/** Compiles a user's pattern so that no text can make it run for long. Throws where it is none. */
export function compilePattern(source: string): Pattern {
  // Loaded when first needed: hardly any config has patterns.
  const { RE2JS } = require("re2js") as typeof import("re2js");
  return RE2JS.compile(source, RE2JS.CASE_INSENSITIVE);
}

function isPattern(source: string): boolean {
  try {
    compilePattern(source);
    return true;
  } catch {
    return false;
  }
}

/** The options of the retry policy. */
export const retryOptions = z.strictObject({
  maxAttempts: z
    .int()
    .min(1)
    .max(20)
    .describe("Attempts in all, the first one included; 1: no retry.")
    .default(3),
  initialDelayMs: z
    .int()
    .min(0)
    .max(longestMs)
    .describe(
      "Milliseconds before the second attempt. After an answer that asks for less traffic without a time, ten times as much.",
    )
    .default(100),
  factor: z
    .number()
    .min(1)
    .max(10)
    .describe("What each further delay is multiplied with.")
    .default(2),
  maxDelayMs: z
    .int()
    .min(0)
    .max(longestMs)
    .describe("Milliseconds of a delay at most, unless the server asks for more.")
    .default(30_000),
  jitter: z
    .enum(["full", "quarter", "none"])
    .describe(
      "How delays are spread: between 0 and the whole (full), by 25 % up and down (quarter), or not at all (none).",
    )
    .default("full"),
  budgetRatio: z
    .number()
    .min(0)
    .max(1)
    .describe(
      "Retries in the last 10 seconds at most, as a share of the calls, over all tools of a server.",
    )
    .default(0.2),
  budgetFloor: z
    .int()
    .min(0)
    .max(100_000)
    .describe("Retries in 10 seconds that are allowed however few calls there are.")
    .default(10),
  retryable: z
    .array(
      z
        .string()
        .min(1)
        .refine(isPattern, "expected a regular expression without look-around and back-references"),
    )
    .describe(
      "Regular expressions (RE2: no look-around, no back-references), without regard to case; an error text that one of them matches is taken for trouble that passes. Added to the built-in ones.",
    )
    .default([]),
  retryWrites: z
    .union([z.boolean(), z.literal("throttled")])
    .describe(
      'Whether a write is sent again although the server answered: never (false), when it asked for less traffic ("throttled"), or always when the trouble may pass, even where it may have happened (true).',
    )
    .default(false),
});

/** The options in force. */
export type RetryOptions = z.output<typeof retryOptions>;
