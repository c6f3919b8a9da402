import { compareBytes, copyBytes, successor, toLatin1 } from "./bytes.ts";

/**
 * A set of keys that etcd can be asked for with one `key` and one `range_end`:
 *
 *     point       key               range_end empty
 *     span        [key, end)        range_end above key
 *     from        [key, ∞)          range_end "\0"
 *     everything  all keys          key "\0" (or empty), range_end "\0"
 *
 * One range has one shape: `[k, k+"\0")` is the point k, and `["\0", "\0")` is everything, so that two clients who mean
 * the same share it (rule 17).
 */
export type KeyRange =
  | { readonly t: "point"; readonly key: Uint8Array }
  | { readonly t: "span"; readonly key: Uint8Array; readonly end: Uint8Array }
  | { readonly t: "from"; readonly key: Uint8Array }
  | { readonly t: "everything" };

/** What `key` and `range_end` of a request say. */
export interface RangeFields {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

const zero = Uint8Array.of(0);
const none = new Uint8Array(0);

/**
 * Reads the fields of a Range, DeleteRange or WatchCreate request. An empty key is etcd's smallest key `"\0"`, as its
 * watch server takes it.
 * @returns undefined for a range without keys (`range_end` not above `key`), which etcd refuses to watch
 */
export function toKeyRange({ key, rangeEnd }: RangeFields): KeyRange | undefined {
  const first = key.length === 0 ? zero : key;
  if (rangeEnd.length === 0) return { t: "point", key: first };
  if (isZero(rangeEnd)) return isZero(first) ? { t: "everything" } : { t: "from", key: first };
  if (compareBytes(first, rangeEnd) >= 0) return undefined;
  if (isSuccessor(first, rangeEnd)) return { t: "point", key: first };
  return { t: "span", key: first, end: rangeEnd };
}

/** The same range with bytes of its own: those of a request may be part of a whole chunk that was read. */
export function copyRange(range: KeyRange): KeyRange {
  switch (range.t) {
    case "everything":
      return range;
    case "span":
      return { t: range.t, key: copyBytes(range.key), end: copyBytes(range.end) };
    case "point":
    case "from":
      return { t: range.t, key: copyBytes(range.key) };
    default:
      return range satisfies never;
  }
}

/** The fields that ask etcd for a range. */
export function toRangeFields(range: KeyRange): RangeFields {
  switch (range.t) {
    case "point":
      return { key: range.key, rangeEnd: none };
    case "span":
      return { key: range.key, rangeEnd: range.end };
    case "from":
      return { key: range.key, rangeEnd: zero };
    case "everything":
      return { key: zero, rangeEnd: zero };
    default:
      return range satisfies never;
  }
}

/** The smallest key of a range. Everything begins at `"\0"`, for etcd has no empty key. */
export function lowerBound(range: KeyRange): Uint8Array {
  return range.t === "everything" ? zero : range.key;
}

/** The first byte string above a range, or nothing where it has no end. */
export function upperBound(range: KeyRange): Uint8Array | undefined {
  switch (range.t) {
    case "point":
      return successor(range.key);
    case "span":
      return range.end;
    case "from":
    case "everything":
      return undefined;
    default:
      return range satisfies never;
  }
}

/** Whether `key` lies in `range`. */
export function hasKey(range: KeyRange, key: Uint8Array): boolean {
  switch (range.t) {
    case "point":
      return compareBytes(range.key, key) === 0;
    case "span":
      return compareBytes(range.key, key) <= 0 && compareBytes(key, range.end) < 0;
    case "from":
      return compareBytes(range.key, key) <= 0;
    case "everything":
      return true;
    default:
      return range satisfies never;
  }
}

/** Whether every key of `inner` lies in `outer`. */
export function contains(outer: KeyRange, inner: KeyRange): boolean {
  if (inner.t === "point") return hasKey(outer, inner.key);
  if (compareBytes(lowerBound(outer), lowerBound(inner)) > 0) return false;
  return isAtOrAbove(upperBound(outer), upperBound(inner));
}

/** Whether some key lies in both. */
export function overlaps(a: KeyRange, b: KeyRange): boolean {
  return isBelowEnd(lowerBound(a), upperBound(b)) && isBelowEnd(lowerBound(b), upperBound(a));
}

/** Whether two ranges hold the same keys. */
export function isSameRange(a: KeyRange, b: KeyRange): boolean {
  return contains(a, b) && contains(b, a);
}

/** A string that is equal for equal ranges and differs for others: a key for maps. Binary, not for people. */
export function rangeId(range: KeyRange): string {
  switch (range.t) {
    case "point":
      return `p${toLatin1(range.key)}`;
    case "span":
      return `s${range.key.length},${toLatin1(range.key)}${toLatin1(range.end)}`;
    case "from":
      return `f${toLatin1(range.key)}`;
    case "everything":
      return "*";
    default:
      return range satisfies never;
  }
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.length === 1 && bytes[0] === 0;
}

function isSuccessor(key: Uint8Array, end: Uint8Array): boolean {
  if (end.length !== key.length + 1 || end[key.length] !== 0) return false;
  return compareBytes(key, end.subarray(0, key.length)) === 0;
}

function isBelowEnd(key: Uint8Array, end: Uint8Array | undefined): boolean {
  return end === undefined || compareBytes(key, end) < 0;
}

function isAtOrAbove(outerEnd: Uint8Array | undefined, innerEnd: Uint8Array | undefined): boolean {
  if (outerEnd === undefined) return true;
  return innerEnd !== undefined && compareBytes(outerEnd, innerEnd) >= 0;
}
