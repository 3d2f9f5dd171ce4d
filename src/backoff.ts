/** How the pauses between attempts grow. Times are milliseconds. */
export interface BackoffOptions {
  readonly initialDelayMs: number;
  readonly factor: number;
  readonly maxDelayMs: number;
  /** `full`: between 0 and the whole; `quarter`: 25 % up and down; `none`. */
  readonly jitter: "full" | "quarter" | "none";
}

/**
 * The pause after the given number of failed attempts, from 1. `random` gives 0 up to 1.
 * Full jitter spreads callers best:
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoff(
  failures: number,
  { initialDelayMs, factor, maxDelayMs, jitter }: BackoffOptions,
  random: () => number = Math.random,
): number {
  // Where the power is beyond all numbers, nothing times it is still nothing.
  const growth = Math.min(factor ** (failures - 1), Number.MAX_VALUE);
  const whole = Math.min(initialDelayMs * growth, maxDelayMs);
  if (jitter === "full") return whole * random();
  return jitter === "quarter" ? Math.min(whole * (0.75 + random() / 2), maxDelayMs) : whole;
}
