import { type KeyRange, toRangeFields } from "@etcd-edge/coalesce";

/** A range as people write it; bytes that are no text in hexadecimal. */
export function describeRange(range: KeyRange): string {
  const { key, rangeEnd } = toRangeFields(range);
  switch (range.t) {
    case "point":
      return describeKey(key);
    case "span":
      return `[${describeKey(key)}, ${describeKey(rangeEnd)})`;
    case "from":
      return `[${describeKey(key)}, ∞)`;
    case "everything":
      return "all keys";
    default:
      return range satisfies never;
  }
}

function describeKey(key: Uint8Array): string {
  const isText = key.every((byte) => byte >= 0x20 && byte < 0x7f);
  return isText ? JSON.stringify(String.fromCharCode(...key)) : `0x${Buffer.from(key).toString("hex")}`;
}
