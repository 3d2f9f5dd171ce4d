import type { Call, Middleware, Result } from "../call.ts";
import { classifyError, classifyResult, type Verdict } from "../classify.ts";
import { asCallError, CallError } from "../errors.ts";
import type { Report } from "../events.ts";
import { after, now, type Timer } from "../time.ts";
import { TokenBucket } from "../token-bucket.ts";
import type { OptionsOf } from "./options.ts";
import type { RateLimitOptions } from "./rate-limit-options.ts";

export interface RateLimitPolicy {
  readonly upstream: string;
  /** Of the upstream as a whole. */
  readonly options: RateLimitOptions | false;
  /** Of a call's tool, which counts beside the upstream's; the upstream's own where the tool has none. */
  readonly optionsOf: OptionsOf<RateLimitOptions>;
  readonly report: Report;
}

/** The rate limit of one upstream, and what to tell of it. */
export interface RateLimit {
  readonly middleware: Middleware;
  /** How many calls wait for their turn. */
  readonly waiting: () => number;
}

/**
 * Lets calls through as often as their upstream, and their tool where it has a limit of its own, may be
 * called. Calls wait in the order in which they came, within bounds; one that could not be served in its
 * time is refused at once with the time to come back. An upstream that asks for less is left alone for as
 * long as it asks.
 */
export function rateLimit({ upstream, options, optionsOf, report }: RateLimitPolicy): RateLimit {
  const lines = new Map<RateLimitOptions, Line>();
  const lineOf = (of: RateLimitOptions): Line => {
    let line = lines.get(of);
    if (line === undefined) lines.set(of, (line = new Line(upstream, of, shared)));
    return line;
  };
  const shared = options === false ? undefined : new Line(upstream, options, undefined);
  if (options !== false && shared !== undefined) lines.set(options, shared);
  const enter = (call: Call, line: Line): Promise<void> | undefined => {
    const wait = line.enter(call);
    if (wait === undefined) return undefined;
    const begun = now();
    return wait.then(() =>
      report({ type: "call.waited", call, queue: "rateLimit", ms: now() - begun }),
    );
  };
  const middleware: Middleware = (next) => (call) => {
    const own = optionsOf(call);
    if (own === false) return next(call);
    const line = lineOf(own);
    const outer = line === shared ? undefined : shared;
    const { answered, failed } = line;
    const first = enter(call, line);
    const turn = outer === undefined ? first : inTurn(first, () => enter(call, outer));
    return turn === undefined
      ? next(call).then(answered, failed)
      : turn.then(() => next(call).then(answered, failed));
  };
  return {
    middleware,
    waiting: () => [...lines.values()].reduce((sum, line) => sum + line.waiting, 0),
  };
}

/** One wait after the other; undefined where there is nothing to wait for. */
const inTurn = (
  first: Promise<void> | undefined,
  second: () => Promise<void> | undefined,
): Promise<void> | undefined => (first === undefined ? second() : first.then(second));

/** Who waits in a line. */
interface Waiter {
  /** In the time of `now()`: a turn that comes later is too late. */
  readonly end: number;
  readonly admit: () => void;
  readonly leave: (reason: CallError) => void;
}

/** The bucket of one limit, and who waits for it. */
class Line {
  readonly #upstream: string;
  readonly #options: RateLimitOptions;
  readonly #outer: Line | undefined;
  readonly #bucket: TokenBucket;
  readonly #waiters = new Set<Waiter>();
  #timer: Timer | undefined;

  /** `outer` is that of the upstream as a whole, where this is a tool's. */
  constructor(upstream: string, options: RateLimitOptions, outer: Line | undefined) {
    const { requestsPerSecond, burst, quotaPerMinute, headroom } = options;
    const perSecond = requestsPerSecond || (quotaPerMinute / 60) * headroom;
    this.#upstream = upstream;
    this.#options = options;
    this.#outer = outer;
    this.#bucket = new TokenBucket(perSecond, burst || Math.max(1, Math.floor(perSecond)), now());
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** Undefined when the call can go now, else a promise of its turn. */
  enter(call: Call): Promise<void> | undefined {
    if (this.#bucket.isOpen || (this.#waiters.size === 0 && this.#bucket.take(now())))
      return undefined;
    const { maxQueue, maxWaitMs } = this.#options;
    const begun = now();
    const wait = this.#bucket.wait(this.#waiters.size + 1, begun);
    if (this.#waiters.size >= maxQueue)
      return Promise.reject(this.#refusal(`${maxQueue} calls wait already`, wait));
    const end = Math.min(begun + maxWaitMs, call.deadline.at);
    if (begun + wait > end) return Promise.reject(this.#tooLate(wait));
    return new Promise((resolve, reject) => {
      const leave = (reason: CallError): void => {
        this.#waiters.delete(waiter);
        call.signal.unsubscribe(leave);
        reject(reason);
      };
      const admit = (): void => {
        this.#waiters.delete(waiter);
        call.signal.unsubscribe(leave);
        resolve();
      };
      const waiter: Waiter = { end, admit, leave };
      this.#waiters.add(waiter);
      call.signal.subscribe(leave);
      this.#wake();
    });
  }

  readonly answered = (result: Result): Result => {
    if (result["isError"] === true) this.#learn(classifyResult(result));
    return result;
  };

  readonly failed = (thrown: unknown): never => {
    const error = asCallError(thrown, this.#upstream);
    this.#learn(classifyError(error));
    throw error;
  };

  /** An upstream that asks for less gets less: of that tool, and as a whole. */
  #learn({ failure, retryAfterMs = 0 }: Verdict): void {
    if (failure !== "throttled") return;
    this.hold(retryAfterMs);
    this.#outer?.hold(retryAfterMs);
  }

  /** Lets nobody through for so long, and refuses at once those for whom that is too long. */
  hold(ms: number): void {
    const at = now();
    this.#bucket.hold(ms, at);
    let place = 1;
    for (const { end, leave } of this.#waiters) {
      const wait = this.#bucket.wait(place, at);
      if (at + wait > end) leave(this.#tooLate(wait));
      else place++;
    }
    this.#wake();
  }

  /** Lets through who can go, and comes back when the next one can. */
  readonly #wake = (): void => {
    this.#timer?.clear();
    this.#timer = undefined;
    for (const { admit } of this.#waiters) {
      if (!this.#bucket.take(now())) break;
      admit();
    }
    if (this.#waiters.size > 0)
      this.#timer = after(Math.ceil(this.#bucket.wait(1, now())), this.#wake);
  };

  #tooLate(wait: number): CallError {
    return this.#refusal(`its turn would come in ${Math.ceil(wait)} ms, which is too late`, wait);
  }

  #refusal(why: string, retryAfterMs: number): CallError {
    return new CallError("rate_limited", `${this.#upstream} may not be called that often: ${why}`, {
      outcome: "failed",
      local: true,
      upstream: this.#upstream,
      retryAfterMs: Math.ceil(retryAfterMs),
    });
  }
}
