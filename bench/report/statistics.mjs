/** The value below which a share of the values lies, between neighbours in proportion. */
export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return low + (high - low) * (place - Math.floor(place));
}

export const median = (values) => quantile(values, 0.5);

const precise = (value) => Number(value.toPrecision(4));

/** Median and quartiles. */
const spread = (values) => ({
  median: precise(median(values)),
  low: precise(quantile(values, 0.25)),
  high: precise(quantile(values, 0.75)),
});

/**
 * What samples `{ row, round, x, values }` come to: for each row and x the median of each value, and of its
 * ratios to the other rows that `against` names for it. A ratio is of two values of one round, which had the same
 * noise; the median is of those ratios, never a ratio of medians.
 */
export function summarise(samples, against) {
  const groups = new Map();
  for (const sample of samples) {
    const key = JSON.stringify([sample.row, sample.x]);
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  return [...groups.values()].map((group) => {
    const [{ row, x }] = group;
    const values = {};
    for (const key of Object.keys(group[0].values)) {
      values[key] = spread(group.map((sample) => sample.values[key]));
      for (const base of (against[key] ?? []).filter((name) => name !== row)) {
        const ratios = group.flatMap((sample) => {
          const other = samples.find(
            (each) => each.row === base && each.x === x && each.round === sample.round,
          );
          return other === undefined ? [] : [sample.values[key] / other.values[key]];
        });
        if (ratios.length > 0) (values[key].ratios ??= {})[base] = spread(ratios);
      }
    }
    return { row, ...(x !== undefined && { x }), values };
  });
}
