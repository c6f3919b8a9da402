export type { KeepAliveSession } from "./lease/keep-alive-session.ts";
export { LeaseBook, type LeaseBookCounts, type LeaseBookOptions } from "./lease/lease-book.ts";
export { defaultLeaseLimits, type LeaseBookLimits } from "./lease/lease-limits.ts";
export type { LeaseBookTotals } from "./lease/lease-totals.ts";
export type {
  KeepAliveSink,
  LeaseClock,
  LeaseTimer,
  OpenRenewalStream,
  RenewalAnswer,
  RenewalFailure,
  RenewalReply,
  RenewalScope,
  RenewalStream,
  RenewalStreamEnd,
  RenewalStreamSink,
} from "./lease/ports.ts";
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
