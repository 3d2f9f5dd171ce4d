/*
 * How long an answer stays fresh. An answer that was given again more than 100 times doubles the time of
 * its key at the next fill, one given less than 10 times halves it. After every 100 lookups one bias for all
 * keys grows by a tenth where the share of hits was under its target, and shrinks where it was over.
 */

/** Milliseconds between which a time stays. */
export interface TtlBounds {
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
}

/** After so many lookups the bias is adjusted. */
export const biasEvery = 100;

const busy = 100;
const idle = 10;
const biasStep = 1.1;
const mostBias = 4;

/** The time of a key whose last answer had `ttlMs` and was given again `hits` times. */
export function nextTtl(ttlMs: number, hits: number, bounds: TtlBounds): number {
  const factor = hits > busy ? 2 : hits < idle ? 0.5 : 1;
  return clamp(ttlMs * factor, bounds);
}

/** The bias that follows lookups of which the share `hitRate` were hits. */
export function nextBias(bias: number, hitRate: number, target: number): number {
  if (hitRate < target) return Math.min(bias * biasStep, mostBias);
  return hitRate > target ? Math.max(bias / biasStep, 1 / mostBias) : bias;
}

/** The time in force. */
export const biasedTtl = (ttlMs: number, bias: number, bounds: TtlBounds): number =>
  clamp(ttlMs * bias, bounds);

const clamp = (ttlMs: number, { minTtlMs, maxTtlMs }: TtlBounds): number =>
  Math.round(Math.min(Math.max(ttlMs, minTtlMs), maxTtlMs));
