import { compareBytes } from "../range/bytes.ts";
import { type KeyRange, lowerBound, upperBound } from "../range/key-range.ts";

/**
 * Whether ranges that may be read cover a range all together, as etcd decides it: its interval tree asks whether the
 * permissions leave no key of the range out, however many of them it takes (3.4 to 3.7).
 */
export function covers(permitted: readonly KeyRange[], wanted: KeyRange): boolean {
  const sorted = [...permitted].sort((a, b) => compareBytes(lowerBound(a), lowerBound(b)));
  const end = upperBound(wanted);
  let reached = lowerBound(wanted);
  for (const one of sorted) {
    if (compareBytes(lowerBound(one), reached) > 0) return false;
    const upper = upperBound(one);
    if (upper === undefined) return true;
    if (compareBytes(upper, reached) > 0) reached = upper;
    if (end !== undefined && compareBytes(reached, end) >= 0) return true;
  }
  return false;
}
