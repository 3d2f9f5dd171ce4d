import type { BudgetLedger } from "../budget-ledger.ts";
import type { Call, Middleware } from "../call.ts";
import type { Epoch } from "../epoch.ts";
import type { Report } from "../events.ts";
import type { ScopeOf } from "../canonical.ts";
import type { CacheStore } from "../stores/store.ts";
import type { PolicyName, PolicyOptions } from "./all-options.ts";
import { budget, type BudgetSurroundings } from "./budget.ts";
import { bulkhead } from "./bulkhead.ts";
import { cache, type CacheControls } from "./cache.ts";
import { circuitBreaker, type CircuitStatus } from "./circuit-breaker.ts";
import { coalesce } from "./coalesce.ts";
import { epoch } from "./epoch.ts";
import { hedge } from "./hedge.ts";
import { observe } from "./observe.ts";
import type { OptionsOf } from "./options.ts";
import { rateLimit } from "./rate-limit.ts";
import { ready } from "./ready.ts";
import { resultGuard, type Keep } from "./result-guard.ts";
import { retry, type RetryPolicy } from "./retry.ts";
import { supersede } from "./supersede.ts";
import { deadline, timeout } from "./timeout.ts";

/** What the stack of one upstream needs to know of it. */
export interface StackOptions {
  readonly upstream: string;
  readonly report: Report;
  /** Of the upstream as a whole. */
  readonly policies: PolicyOptions;
  readonly policiesOf: (call: Call) => PolicyOptions;
  /** All that `policiesOf` may answer; what none of them switches on is left out of the stack. */
  readonly allPolicies: readonly PolicyOptions[];
  /** A user's own, each with its name. */
  readonly middlewares: readonly Middleware[];
  readonly untilReady: (call: Call) => Promise<void> | undefined;
  /** Calls of different scopes share no answers; undefined: it shares none with any. Default: all may. */
  readonly scopeOf?: ScopeOf;
  /** Each undefined where config says nothing of it for any tool. */
  readonly supersedeKeyOf: ((call: Call) => string | undefined) | undefined;
  readonly coalesceKeyOf: ((call: Call) => string | undefined) | undefined;
  readonly verify: RetryPolicy["verify"];
  readonly costOf: ((call: Call) => number) | undefined;
  readonly budgetsOf: BudgetSurroundings["budgetsOf"];
  readonly ledger: BudgetLedger;
  readonly spent: BudgetSurroundings["spent"];
  readonly store: CacheStore;
  readonly epoch: Epoch;
  /** Told when a call that may change something starts and ends. */
  readonly onWrite: ((call: Call) => void) | undefined;
  readonly keep: Keep;
}

/** A stack, and what to tell of its state. */
export interface Stack {
  /** Outermost first. */
  readonly middlewares: readonly Middleware[];
  readonly status: () => StackStatus;
  /** Undefined where nothing is cached. */
  readonly cache: CacheControls | undefined;
}

/** The state of a stack, for people. */
export interface StackStatus {
  readonly circuits: readonly CircuitStatus[];
  readonly active: number;
  readonly waiting: { readonly rateLimit: number; readonly bulkhead: number };
}

/**
 * The middlewares of one upstream. The order is the meaning:
 *
 * - what `observe` reports is what the caller sees, so it is the outermost, and a user's own come next;
 * - the guard against large results sees what the cache gives, so the cache keeps whole results;
 * - a cached answer survives an open circuit, and a coalesced call uses none of the limits inside;
 * - the total time covers queues, retries and pauses; a wait for a connection uses it, never an attempt's;
 * - each attempt costs money and counts in the circuit, and an open circuit is not retried into;
 * - who waits for a token holds no place, and an attempt's time starts when it has its place;
 * - what our own limits refuse is never counted as the upstream's failure.
 */
export function stack(options: StackOptions): Stack {
  const { upstream, report, policies, policiesOf } = options;
  const uses = (name: PolicyName, isOn: (given: PolicyOptions) => boolean): boolean =>
    options.allPolicies.some((given) => given[name] !== false && isOn(given));
  const timeoutOf: OptionsOf<Exclude<PolicyOptions["timeout"], false>> = (call) =>
    // The answer to this waits for the end of a task.
    call.method === "tasks/result" ? false : policiesOf(call).timeout;

  const { costOf, supersedeKeyOf, scopeOf } = options;
  const caching = uses("cache", (given) => given.cache !== false && given.cache.enabled)
    ? cache({
        optionsOf: (call) => policiesOf(call).cache,
        store: options.store,
        epoch: () => options.epoch.value,
        report,
        ...(scopeOf && { scopeOf }),
      })
    : undefined;
  const circuits = circuitBreaker({
    upstream,
    shared: policies.circuitBreaker,
    optionsOf: (call) => policiesOf(call).circuitBreaker,
    report,
  });
  const limit = rateLimit({
    upstream,
    options: policies.rateLimit,
    optionsOf: (call) => policiesOf(call).rateLimit,
    report,
  });
  const rooms = bulkhead({ upstream, optionsOf: (call) => policiesOf(call).bulkhead, report });

  const middlewares: (Middleware | false | undefined)[] = [
    observe(report),
    ...options.middlewares,
    uses("result", (given) => given.result !== false && given.result.maxBytes > 0) &&
      resultGuard({ optionsOf: (call) => policiesOf(call).result, keep: options.keep, report }),
    supersedeKeyOf && supersede(supersedeKeyOf),
    caching,
    uses("coalesce", (given) => given.coalesce !== false && given.coalesce.enabled) &&
      coalesce({
        optionsOf: (call) => policiesOf(call).coalesce,
        // Both only grow, so that the sum changes with each.
        epoch: () => options.epoch.value + options.store.generation,
        report,
        ...(options.coalesceKeyOf && { keyOf: options.coalesceKeyOf }),
        ...(scopeOf && { scopeOf }),
      }),
    deadline(timeoutOf),
    uses("hedge", (given) => given.hedge !== false && given.hedge.enabled) &&
      hedge({ optionsOf: (call) => policiesOf(call).hedge, report }),
    (uses("retry", () => true) || options.verify !== undefined) &&
      retry({ optionsOf: (call) => policiesOf(call).retry, verify: options.verify, report }),
    costOf &&
      budget({
        costOf,
        budgetsOf: options.budgetsOf,
        ledger: options.ledger,
        spent: options.spent,
        report,
      }),
    ready(options.untilReady),
    uses("circuitBreaker", () => true) && circuits.middleware,
    uses("rateLimit", () => true) && limit.middleware,
    uses("bulkhead", () => true) && rooms.middleware,
    uses(
      "circuitBreaker",
      (given) => given.circuitBreaker !== false && given.circuitBreaker.slowCallMs > 0,
    ) && circuits.sent,
    epoch(options.epoch, options.onWrite),
    timeout(timeoutOf),
  ];
  return {
    middlewares: middlewares.filter((middleware) => typeof middleware === "function"),
    status: () => {
      const { active, waiting } = rooms.status();
      return {
        circuits: circuits.status(),
        active,
        waiting: { rateLimit: limit.waiting(), bulkhead: waiting },
      };
    },
    cache: caching,
  };
}
