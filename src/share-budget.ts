import { now } from "./time.ts";

const windowMs = 10_000;
const slots = 10;
const slotMs = windowMs / slots;

/**
 * Bounds extra calls (retries, hedges) to a share of all calls in the last 10 seconds, in steps of one second,
 * with a floor. So a failing upstream gets at most that much more traffic, whatever each call wants.
 * After Finagle's retry budget: https://twitter.github.io/finagle/guide/Clients.html#retries
 */
export class ShareBudget {
  readonly #calls = new Float64Array(slots);
  readonly #extra = new Float64Array(slots);
  #slot = 0;

  /** Counts a call. */
  count(): void {
    this.#turn();
    this.#calls[this.#slot % slots]! += 1;
  }

  /** Takes an extra call, if one is left. */
  take(ratio: number, floor: number): boolean {
    this.#turn();
    const allowed = Math.max(floor, ratio * sum(this.#calls));
    if (sum(this.#extra) + 1 > allowed) return false;
    this.#extra[this.#slot % slots]! += 1;
    return true;
  }

  #turn(): void {
    const slot = Math.floor(now() / slotMs);
    if (slot === this.#slot) return;
    for (let past = Math.max(this.#slot + 1, slot - slots + 1); past <= slot; past++)
      this.#calls[past % slots] = this.#extra[past % slots] = 0;
    this.#slot = slot;
  }
}

const sum = (counts: Float64Array): number => counts.reduce((total, count) => total + count, 0);
