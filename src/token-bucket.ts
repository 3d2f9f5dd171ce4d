/**
 * A token bucket without a clock of its own: `now` is in milliseconds. Tokens come in continuously and are
 * counted in fractions. While it is held, none can be taken and none come in.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;
  #heldUntil = -Infinity;

  /** Full at first. `perSecond` 0: without end, but for holds. */
  constructor(perSecond: number, burst: number, now: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Whether it has no rate and was never held, so that everything passes. */
  get isOpen(): boolean {
    return this.#perMs === 0 && this.#heldUntil === -Infinity;
  }

  /** Takes a token if there is one. */
  take(now: number): boolean {
    if (now < this.#heldUntil) return false;
    if (this.#perMs === 0) return true;
    this.#fill(now);
    // Sums of fractions may miss a whole by a hair.
    if (this.#tokens < 1 - 1e-6) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Milliseconds until the `nth` token from now on can be taken, from 1. */
  wait(nth: number, now: number): number {
    const held = Math.max(0, this.#heldUntil - now);
    if (this.#perMs === 0) return held;
    this.#fill(now);
    return held + Math.max(0, (nth - this.#tokens) / this.#perMs);
  }

  /** Empties it, and gives nothing for `ms` milliseconds, or as long as it is held already. */
  hold(ms: number, now: number): void {
    this.#fill(now);
    this.#tokens = Math.min(this.#tokens, 0);
    this.#heldUntil = Math.max(this.#heldUntil, now + ms);
  }

  #fill(now: number): void {
    if (now <= this.#at) return;
    const from = Math.max(this.#at, Math.min(this.#heldUntil, now));
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - from) * this.#perMs);
    this.#at = now;
  }
}
