/*
 * All policies that config knows, by their key: types, servers.schema.json and the README's table come from here.
 */
import type { z } from "zod";
import { budgetOptions } from "./budget-options.ts";
import { bulkheadOptions } from "./bulkhead-options.ts";
import { cacheOptions, completeCache } from "./cache-options.ts";
import { circuitBreakerOptions } from "./circuit-breaker-options.ts";
import { coalesceOptions } from "./coalesce-options.ts";
import { hedgeOptions } from "./hedge-options.ts";
import { rateLimitOptions } from "./rate-limit-options.ts";
import { resultOptions } from "./result-options.ts";
import { retryOptions } from "./retry-options.ts";
import { completeTimeout, timeoutOptions } from "./timeout-options.ts";

/** A policy's options, and what each is for in one line. */
export const policyOptions = {
  timeout: { options: timeoutOptions, about: "How long a call may take; false: no limit." },
  retry: { options: retryOptions, about: "When a call is tried again; false: never." },
  circuitBreaker: {
    options: circuitBreakerOptions,
    about: "When a failing server is left alone for a while; false: never.",
  },
  rateLimit: {
    options: rateLimitOptions,
    about:
      "How often a server is called. What a tool says counts for the tool beside its server's.",
  },
  bulkhead: { options: bulkheadOptions, about: "How many calls a server gets at once." },
  cache: { options: cacheOptions, about: "Which answers are kept and given again." },
  coalesce: { options: coalesceOptions, about: "Which calls share one upstream call." },
  hedge: { options: hedgeOptions, about: "When a slow call is sent a second time." },
  budget: {
    options: budgetOptions,
    about:
      "What calls may cost, where tools have a costUsd. The file's budget is one for all servers, a server's is its own, and so is a tool's; a call must fit in all of them.",
  },
  result: { options: resultOptions, about: "What becomes of very large results." },
} as const;

export type PolicyName = keyof typeof policyOptions;

/** The options in force for a call, by policy; false where a policy is off. */
export type PolicyOptions = {
  readonly [Name in PolicyName]: z.output<(typeof policyOptions)[Name]["options"]> | false;
};

/** How options that depend on each other are made to fit. */
const completions: Partial<Record<PolicyName, (written: object) => object>> = {
  timeout: completeTimeout,
  cache: completeCache,
};

/** A policy's options in force where those of `written` are given. */
export const completePolicy = (name: PolicyName, written: object): object =>
  (completions[name] ?? ((given) => policyOptions[name].options.parse(given)))(written);
