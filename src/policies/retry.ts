import pRetry from "p-retry";
import { backoff } from "../backoff.ts";
import type { Call, Effect, Handle, Middleware, Result } from "../call.ts";
import { classifyError, classifyResult, textOf, type Verdict } from "../classify.ts";
import { effectOf } from "../effect.ts";
import { asCallError, CallError } from "../errors.ts";
import type { Report } from "../events.ts";
import { ShareBudget } from "../share-budget.ts";
import { now } from "../time.ts";
import { pause } from "../wait.ts";
import type { OptionsOf } from "./options.ts";
import type { RetryOptions } from "./retry-options.ts";

/** What is found out of a call whose answer was lost: it was done, nothing was done, or nobody knows. */
export type Verified = "done" | "failed" | "unknown";

export interface RetryPolicy {
  readonly optionsOf: OptionsOf<RetryOptions>;
  /** Finds out whether a call has happened, where config says how; undefined where it does not. */
  readonly verify?: ((call: Call) => Promise<Verified> | undefined) | undefined;
  readonly report: Report;
}

/** An upstream that asks for less and gives no time is left alone for so many times the usual. */
const throttledFactor = 10;

/** What an attempt came to that did not succeed: an error, or a result that says `isError`. */
interface Failure {
  readonly verdict: Verdict;
  readonly error?: CallError;
  readonly result?: Result;
}

type Attempt = Failure | { readonly verdict?: never; readonly result: Result };

/**
 * Tries a call again where its effect allows it (see `mayRetry`), after a growing pause, within the call's
 * deadline and a budget for all calls of its upstream. An unknown outcome is settled by `verify` first.
 * What the last attempt came to is what the caller gets.
 */
export function retry({ optionsOf, verify, report }: RetryPolicy): Middleware {
  const budget = new ShareBudget();
  const patternsOf = patternCache();
  return (next) => (call) => {
    const options = optionsOf(call);
    if (options === false || options.maxAttempts === 1) return next(call);
    budget.count();
    // The first attempt is made without p-retry, which costs more than all the rest of the path.
    return next(call).then(
      (result) => {
        if (result["isError"] !== true) return result;
        const verdict = classifyResult(result, patternsOf(options));
        return verdict.failure === "none"
          ? result
          : again(next, call, options, { verdict, result });
      },
      (thrown: unknown) => {
        const error = asCallError(thrown, call.upstream);
        const verdict = classifyError(error, patternsOf(options));
        if (verdict.failure === "none") throw error;
        return again(next, call, options, { verdict, error });
      },
    );
  };

  async function again(
    next: Handle,
    call: Call,
    options: RetryOptions,
    first: Failure,
  ): Promise<Result> {
    let attempts = 1;
    let failure = first;
    // What an earlier attempt may have done stays unknown, however the last one ends.
    let inDoubt = false;
    const withHistory = (error: CallError): CallError =>
      error.with({
        attempts,
        ...(inDoubt && error.outcome === "failed" && { outcome: "unknown" }),
      });
    try {
      await beforeNext(call, options, failure, attempts);
      return await pRetry(
        async () => {
          attempts++;
          const got = await tryOnce(next, call, patternsOf(options));
          if (got.verdict === undefined) return got.result;
          inDoubt ||= failure.verdict.mayHaveHappened && effectOf(call) !== "read";
          failure = got;
          throw new Tried();
        },
        {
          retries: options.maxAttempts - 2,
          minTimeout: 0,
          maxTimeout: 0,
          onFailedAttempt: ({ retriesLeft }) => {
            if (retriesLeft === 0) throw new Tried();
            return beforeNext(call, options, failure, attempts);
          },
        },
      );
    } catch (thrown) {
      if (!(thrown instanceof Tried)) throw withHistory(asCallError(thrown, call.upstream));
      if (thrown.settled === undefined && failure.result !== undefined) return failure.result;
      throw withHistory(thrown.settled ?? asCallError(failure.error, call.upstream));
    }
  }

  /** Resolves when the next attempt may be made. Throws Tried where there is to be none. */
  async function beforeNext(
    call: Call,
    options: RetryOptions,
    failure: Failure,
    attempt: number,
  ): Promise<void> {
    const { verdict, error } = failure;
    const effect = effectOf(call);
    const doubtful = verdict.mayHaveHappened && effect !== "read";
    const verified = doubtful ? await verify?.(call) : undefined;
    if (verified === "done") throw new Tried(settled(call, error, "done"));
    const unsent = verified === "failed";
    const end = (): Tried => new Tried(unsent ? settled(call, error, "failed") : undefined);
    if (verdict.failure === "none" || verdict.failure === "permanent") throw end();
    const allowed = unsent || mayRetry(effect, verdict, options);
    const delayMs = delay(verdict, options, attempt);
    const late = now() + delayMs >= call.deadline.at;
    if (!allowed || late || !budget.take(options.budgetRatio, options.budgetFloor)) throw end();
    const reason = error?.message ?? textOf(failure.result ?? {}).slice(0, 200);
    report({ type: "call.retried", call, attempt, delayMs, reason });
    await pause(call, delayMs);
  }
}

/** Ends the attempts: with what verification has found, else with what the last one came to. */
class Tried extends Error {
  readonly settled: CallError | undefined;

  constructor(settled?: CallError) {
    super("no more attempts");
    this.settled = settled;
  }
}

/** Whether what a call does allows to send it again. */
function mayRetry(
  effect: Effect,
  { failure, reach, mayHaveHappened }: Verdict,
  { retryWrites }: RetryOptions,
): boolean {
  if (reach === "unsent" || effect !== "write" || retryWrites === true) return true;
  return (
    retryWrites === "throttled" &&
    reach === "answered" &&
    failure === "throttled" &&
    !mayHaveHappened
  );
}

/** What the upstream asks for, else the usual pause; never less than the upstream asks for. */
function delay({ failure, retryAfterMs }: Verdict, options: RetryOptions, attempt: number): number {
  const times = failure === "throttled" && retryAfterMs === undefined ? throttledFactor : 1;
  const initialDelayMs = options.initialDelayMs * times;
  const usual = backoff(attempt, {
    initialDelayMs,
    factor: options.factor,
    maxDelayMs: options.maxDelayMs,
    jitter: options.jitter,
  });
  // With full jitter the usual pause may be next to nothing, which is no answer to a plea for less.
  const least =
    failure === "throttled" ? (retryAfterMs ?? initialDelayMs / 2) : (retryAfterMs ?? 0);
  return Math.max(usual, least);
}

async function tryOnce(next: Handle, call: Call, patterns: readonly RegExp[]): Promise<Attempt> {
  try {
    const result = await next(call);
    const verdict = classifyResult(result, patterns);
    return verdict.failure === "none" ? { result } : { verdict, result };
  } catch (thrown) {
    const error = asCallError(thrown, call.upstream);
    return { verdict: classifyError(error, patterns), error };
  }
}

/** The same failure, now that it is known whether it was done. */
const settled = (call: Call, error: CallError | undefined, outcome: "done" | "failed"): CallError =>
  new CallError(
    error?.code ?? "upstream_error",
    `${error?.message ?? `${call.upstream} failed`}; it was found out that the call was ${outcome === "done" ? "done" : "not done"}`,
    { outcome, upstream: call.upstream, cause: error },
  );

/** Compiles the user's patterns once for each object of options. */
function patternCache(): (options: RetryOptions) => readonly RegExp[] {
  const compiled = new WeakMap<RetryOptions, readonly RegExp[]>();
  return (options) => {
    let patterns = compiled.get(options);
    if (patterns === undefined) {
      patterns = options.retryable.map((source) => new RegExp(source, "i"));
      compiled.set(options, patterns);
    }
    return patterns;
  };
}
