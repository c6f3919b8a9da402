/** What repeated measurements of one figure came to. */
export interface Summary {
  readonly median: number;
  /** Half of the way from the least to the greatest, as a share of the median: 0.1 is ±10 %. */
  readonly spread: number;
  readonly values: readonly number[];
}

/** @throws Error without values */
export function summarise(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  const low = sorted[0];
  const high = sorted.at(-1);
  if (low === undefined || high === undefined) throw new Error("nothing was measured");
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? low;
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
  return { median, spread: median === 0 ? 0 : (high - low) / 2 / median, values };
}
