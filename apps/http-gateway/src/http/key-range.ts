/** `key` and `range_end` of a request. */
export interface KeyFields {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

/** As key: every key. As the end of a range: no end. */
const zero = Uint8Array.of(0);

/** The range of all keys that begin with a prefix; an empty one is every key. */
export function toPrefixRange(prefix: Buffer): KeyFields {
  if (prefix.length === 0) return { key: zero, rangeEnd: zero };
  const last = prefix.findLastIndex((byte) => byte !== 0xff);
  if (last < 0) return { key: prefix, rangeEnd: zero };
  const rangeEnd = Buffer.from(prefix.subarray(0, last + 1));
  rangeEnd[last] = (rangeEnd[last] ?? 0) + 1;
  return { key: prefix, rangeEnd };
}
