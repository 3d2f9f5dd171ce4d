import type { CircuitState } from "./events.ts";

/** When a circuit opens, and how it closes again. Times are milliseconds; a trigger that is 0 is off. */
export interface CircuitOptions {
  readonly consecutiveFailures: number;
  readonly failureRatio: number;
  readonly minimumCalls: number;
  readonly windowMs: number;
  readonly slowCallMs: number;
  readonly slowCallRatio: number;
  readonly openMs: number;
  readonly maxOpenMs: number;
  readonly halfOpenCalls: number;
  readonly force: "auto" | "open" | "closed";
}

/** What became of a call: `ignored` says nothing about the upstream. */
export type CircuitOutcome = "success" | "failure" | "ignored";

type Change = (from: CircuitState, to: CircuitState, reason: string, openMs?: number) => void;

/** Parts of the window: a call counts for between 9 and 10 tenths of it. */
const parts = 10;

/**
 * The decisions of a circuit breaker, without any call or clock of its own: `now` is in milliseconds.
 *
 * closed → open when a trigger fires; open → half-open when its time is over and a call comes; half-open →
 * closed when `halfOpenCalls` probes in a row succeed, → open for twice the time when one fails.
 * Each move starts a new generation, and what comes back from an older one moves nothing.
 * After Nygard's "Release It!" and resilience4j's count of slow calls.
 */
export class Circuit {
  readonly #options: CircuitOptions;
  readonly #changed: Change;
  readonly #calls = new Int32Array(parts);
  readonly #failures = new Int32Array(parts);
  readonly #slow = new Int32Array(parts);
  #state: CircuitState = "closed";
  #generation = 0;
  #part = 0;
  #consecutive = 0;
  #openUntil = 0;
  #openMs = 0;
  #probes = 0;
  #proven = 0;

  constructor(options: CircuitOptions, changed: Change) {
    this.#options = options;
    this.#changed = changed;
    if (options.force === "open") this.#move("open", "config holds it open");
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** Lets a call through and gives its generation; -1 where it is refused. */
  enter(now: number): number {
    if (this.#state === "closed") return this.#generation;
    if (this.#options.force === "open") return -1;
    if (this.#state === "open") {
      if (now < this.#openUntil) return -1;
      this.#move("half-open", "its time is over");
    }
    if (this.#probes >= this.#options.halfOpenCalls) return -1;
    this.#probes++;
    return this.#generation;
  }

  /** Takes what became of a call that was let through, after `ms`. */
  leave(generation: number, outcome: CircuitOutcome, ms: number, now: number): void {
    if (generation !== this.#generation || this.#options.force !== "auto") return;
    if (this.#state === "half-open") this.#probed(outcome, ms, now);
    else if (outcome !== "ignored") this.#count(outcome === "failure", ms, now);
  }

  /** Milliseconds until a call may be let through; undefined where that is not known. */
  retryAfterMs(now: number): number | undefined {
    if (this.#options.force === "open" || this.#state !== "open") return undefined;
    return Math.max(0, this.#openUntil - now);
  }

  #probed(outcome: CircuitOutcome, ms: number, now: number): void {
    this.#probes--;
    if (outcome === "ignored") return;
    if (outcome === "failure" || this.#isSlow(ms)) {
      this.#open(outcome === "failure" ? "a probe failed" : "a probe was slow", now);
    } else if (++this.#proven >= this.#options.halfOpenCalls) {
      this.#openMs = 0;
      this.#move("closed", "probes succeeded");
    }
  }

  #count(failed: boolean, ms: number, now: number): void {
    const { consecutiveFailures, failureRatio, minimumCalls, slowCallRatio } = this.#options;
    this.#turn(now);
    const part = this.#part % parts;
    const slow = this.#isSlow(ms);
    this.#calls[part]! += 1;
    if (slow) this.#slow[part]! += 1;
    this.#consecutive = failed ? this.#consecutive + 1 : 0;
    if (!failed && !slow) return;
    if (failed) this.#failures[part]! += 1;
    if (consecutiveFailures > 0 && this.#consecutive >= consecutiveFailures)
      return this.#open(`${this.#consecutive} failures in a row`, now);
    const calls = sum(this.#calls);
    if (calls < minimumCalls) return;
    const failures = sum(this.#failures);
    if (failureRatio > 0 && failures / calls >= failureRatio)
      return this.#open(`${failures} of ${calls} calls failed`, now);
    const slowCalls = sum(this.#slow);
    if (slow && slowCallRatio > 0 && slowCalls / calls >= slowCallRatio)
      this.#open(`${slowCalls} of ${calls} calls were slow`, now);
  }

  #isSlow(ms: number): boolean {
    return this.#options.slowCallMs > 0 && ms >= this.#options.slowCallMs;
  }

  #open(reason: string, now: number): void {
    const { openMs, maxOpenMs } = this.#options;
    this.#openMs =
      this.#openMs === 0 ? openMs : Math.min(this.#openMs * 2, Math.max(maxOpenMs, openMs));
    this.#openUntil = now + this.#openMs;
    this.#move("open", reason, this.#openMs);
  }

  #move(to: CircuitState, reason: string, openMs?: number): void {
    const from = this.#state;
    this.#state = to;
    this.#generation++;
    this.#probes = 0;
    this.#proven = 0;
    this.#consecutive = 0;
    for (const counts of [this.#calls, this.#failures, this.#slow]) counts.fill(0);
    this.#changed(from, to, reason, openMs);
  }

  /** Forgets the parts of the window that are over. */
  #turn(now: number): void {
    const part = Math.floor(now / (this.#options.windowMs / parts));
    if (part === this.#part) return;
    for (let past = Math.max(this.#part + 1, part - parts + 1); past <= part; past++)
      this.#calls[past % parts] = this.#failures[past % parts] = this.#slow[past % parts] = 0;
    this.#part = part;
  }
}

const sum = (counts: Int32Array): number => counts.reduce((total, count) => total + count, 0);
