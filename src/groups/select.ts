import type { Filter, Provider, Strategy } from "./group-options.ts";

/** A provider, and how it did lately. */
export interface Candidate {
  readonly provider: Provider;
  /** Mean milliseconds of an answer; undefined where it was not asked yet. */
  readonly meanMs: number | undefined;
  /** Share of calls that did not fail; undefined where it was not asked yet. */
  readonly successRate: number | undefined;
}

/** What `balanced` gives to price, speed and quality. */
const weights = { price: 0.3, speed: 0.3, quality: 0.4 } as const;

/** Who was never asked is taken for one that answers in a second, so that it is tried now and then. */
const unknownMs = 1000;

/** Whether a provider is fit for what is asked. */
export const isFit = (
  { capabilities, priceUsd, reputation }: Provider,
  filter: Partial<Filter>,
): boolean =>
  (filter.capabilities ?? []).every((wanted) => capabilities.includes(wanted)) &&
  priceUsd <= (filter.maxPriceUsd ?? Infinity) &&
  reputation >= (filter.minReputation ?? 0);

/** The best of these by a strategy; the earlier where two are equal. Undefined where there is none. */
export function choose<One extends Candidate>(
  candidates: readonly One[],
  strategy: Strategy,
): One | undefined {
  const dearest = Math.max(...candidates.map(({ provider }) => provider.priceUsd));
  const slowest = Math.max(...candidates.map(speed));
  const score = (one: Candidate): number => {
    switch (strategy) {
      case "best":
        return quality(one);
      case "cheapest":
        return -one.provider.priceUsd;
      case "fastest":
        return -speed(one);
      case "balanced":
        return (
          weights.quality * quality(one) +
          weights.price * lower(one.provider.priceUsd, dearest) +
          weights.speed * lower(speed(one), slowest)
        );
    }
  };
  const scores = candidates.map(score);
  return candidates[scores.indexOf(Math.max(...scores))];
}

const speed = ({ meanMs }: Candidate): number => meanMs ?? unknownMs;

/** From 0 to 1. */
const quality = ({ provider, successRate }: Candidate): number =>
  (provider.reputation / 100) * (successRate ?? 1);

/** 1 for nothing, 0 for the highest. */
const lower = (value: number, highest: number): number => (highest === 0 ? 1 : 1 - value / highest);
