import pRetry from "p-retry";
import { backoff } from "../backoff.ts";
import type { Call, Effect, Handle, Middleware, Result } from "../call.ts";
import { classifyError, classifyResult, textOf, type Pattern, type Verdict } from "../classify.ts";
import { effectOf } from "../effect.ts";
import { asCallError, CallError } from "../errors.ts";
import type { Report } from "../events.ts";
import { ShareBudget } from "../share-budget.ts";
import { now } from "../time.ts";
import { pause } from "../wait.ts";
import { isObject } from "../wire.ts";
import type { OptionsOf } from "./options.ts";
import { compilePattern, retryOptions, type RetryOptions } from "./retry-options.ts";

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
 * deadline and a budget for all calls of its upstream. An unknown outcome is settled by `verify` first, also
 * where no attempt is left or retry is off. What the last attempt came to is what the caller gets, and is told
 * as unknown where any attempt may have done something.
 */
export function retry({ optionsOf, verify, report }: RetryPolicy): Middleware {
  const budget = new ShareBudget();
  const patternsOf = patternCache();
  return (next) => (call) => {
    const options = optionsOf(call) || once;
    if (options.maxAttempts === 1 && verify === undefined) return next(call);
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
        if (verdict.failure === "none" && !isDoubtful(call, verdict)) throw error;
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
    // What any attempt may have done stays unknown, however the last one ends, until verification tells.
    let inDoubt = isDoubtful(call, first.verdict);

    /** Resolves when the next attempt may be made. Throws Tried where there is to be none. */
    const beforeNext = async (): Promise<void> => {
      const { verdict, error } = failure;
      const verified =
        inDoubt && call.signal.reason === undefined ? await verify?.(call) : undefined;
      if (verified === "done" || verified === "failed") inDoubt = false;
      if (verified === "done") throw new Tried(settled(call, error, "done"));
      const isUndone = verified === "failed";
      const end = (): Tried =>
        new Tried(
          isUndone && isDoubtful(call, verdict) ? settled(call, error, "failed") : undefined,
        );
      if (verdict.failure === "none" || verdict.failure === "permanent") throw end();
      const allowed = isUndone || mayRetry(effectOf(call), verdict, options);
      if (!allowed || attempts >= options.maxAttempts) throw end();
      const delayMs = delay(verdict, options, attempts);
      const late = now() + delayMs >= call.deadline.at;
      if (late || !budget.take(options.budgetRatio, options.budgetFloor)) throw end();
      const reason = error?.message ?? textOf(failure.result ?? {}).slice(0, 200);
      report({ type: "call.retried", call, attempt: attempts, delayMs, reason });
      await pause(call, delayMs);
    };

    try {
      await beforeNext();
      return await pRetry(
        async () => {
          attempts++;
          const got = await tryOnce(next, call, patternsOf(options));
          if (got.verdict === undefined) return got.result;
          failure = got;
          inDoubt ||= isDoubtful(call, got.verdict);
          throw new Tried();
        },
        {
          retries: options.maxAttempts - 2,
          minTimeout: 0,
          maxTimeout: 0,
          onFailedAttempt: beforeNext,
        },
      );
    } catch (thrown) {
      const ended = thrown instanceof Tried;
      if (ended && thrown.settled === undefined && failure.result !== undefined)
        return inDoubt ? doubtful(call, failure.result, attempts) : failure.result;
      const last = ended ? (thrown.settled ?? failure.error) : thrown;
      throw history(asCallError(last, call.upstream), attempts, inDoubt);
    }
  }
}

/** Retry switched off: one attempt. */
const once = retryOptions.parse({ maxAttempts: 1 });

/** Whether it matters that the call may have happened. */
const isDoubtful = (call: Call, { mayHaveHappened }: Verdict): boolean =>
  mayHaveHappened && effectOf(call) !== "read";

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

async function tryOnce(next: Handle, call: Call, patterns: readonly Pattern[]): Promise<Attempt> {
  try {
    const result = await next(call);
    return result["isError"] === true
      ? { verdict: classifyResult(result, patterns), result }
      : { result };
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

/** The last error, now that the attempts before it are known. */
function history(error: CallError, attempts: number, inDoubt: boolean): CallError {
  const { code, message, upstream, status, retryAfterMs } = error;
  if (!inDoubt) return error.with({ attempts });
  if (error.rpc === undefined || attempts === 1)
    return error.with({ attempts, outcome: "unknown" });
  // The upstream's own no is an answer to its attempt alone, and does not pass as the answer to the call.
  return new CallError(code, message, {
    outcome: "unknown",
    attempts,
    ...(upstream !== undefined && { upstream }),
    ...(status !== undefined && { status }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    cause: error,
  });
}

/** A tool's no after which it may have happened all the same, with that said to models and programs. */
function doubtful(call: Call, result: Result, attempts: number): Result {
  const { content, _meta } = result;
  const sentences = [
    attempts > 1 && `It was tried ${attempts} times.`,
    "It is not known whether it was done.",
    effectOf(call) === "write" && "Find out before you try again.",
  ];
  const text = sentences.filter(Boolean).join(" ");
  const failure = { code: "upstream_error", outcome: "unknown", attempts };
  return {
    ...result,
    content: [...(Array.isArray(content) ? content : []), { type: "text", text }],
    _meta: { ...(isObject(_meta) && _meta), "holdfast/failure": failure },
  };
}

/** Compiles the user's patterns once for each object of options. */
function patternCache(): (options: RetryOptions) => readonly Pattern[] {
  const compiled = new WeakMap<RetryOptions, readonly Pattern[]>();
  return (options) => {
    let patterns = compiled.get(options);
    if (patterns === undefined) {
      patterns = options.retryable.map(compilePattern);
      compiled.set(options, patterns);
    }
    return patterns;
  };
}
