import { readResponseHeader } from "@etcd-edge/proto";
import { asBuffer, WireCursor } from "../json/wire.ts";

/** What there is to know of a RangeResponse for asking for the next page. */
export interface PageView {
  readonly revision: bigint;
  readonly keys: number;
  readonly lastKey: Uint8Array | undefined;
  readonly more: boolean;
  readonly count: bigint;
}

const kvsTag = 0x12;
const moreTag = 0x18;
const countTag = 0x20;
const keyTag = 0x0a;

/** @throws RangeError where the bytes are no RangeResponse */
export function readPage(bytes: Uint8Array): PageView {
  const cursor = new WireCursor(asBuffer(bytes), 0, bytes.length);
  let keys = 0;
  let last = { start: 0, end: 0 };
  let more = false;
  let count = 0n;
  while (cursor.at < cursor.end) {
    cursor.readVarint();
    const tag = cursor.low;
    if (tag === kvsTag) {
      const end = cursor.readLength();
      keys++;
      last = { start: cursor.at, end };
      cursor.at = end;
    } else if (tag === moreTag) {
      cursor.readVarint();
      more = cursor.low !== 0;
    } else if (tag === countTag) {
      cursor.readVarint();
      count = (BigInt(cursor.high) << 32n) | BigInt(cursor.low);
    } else {
      cursor.skip(tag & 7);
    }
  }
  const { revision } = readResponseHeader(bytes);
  return { revision, keys, lastKey: keys === 0 ? undefined : keyOf(cursor.bytes, last), more, count };
}

function keyOf(bytes: Buffer, { start, end }: { start: number; end: number }): Uint8Array {
  const cursor = new WireCursor(bytes, start, end);
  let key: Uint8Array = new Uint8Array(0);
  while (cursor.at < cursor.end) {
    cursor.readVarint();
    const tag = cursor.low;
    if (tag !== keyTag) {
      cursor.skip(tag & 7);
      continue;
    }
    const keyEnd = cursor.readLength();
    key = bytes.subarray(cursor.at, keyEnd);
    cursor.at = keyEnd;
  }
  return key;
}
