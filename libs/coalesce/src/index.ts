export { compareBytes, successor } from "./range/bytes.ts";
export {
  contains,
  hasKey,
  isSameRange,
  type KeyRange,
  lowerBound,
  overlaps,
  type RangeFields,
  rangeId,
  toKeyRange,
  toRangeFields,
  upperBound,
} from "./range/key-range.ts";
