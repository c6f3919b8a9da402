import { varintBytes, writeBigVarint, writeVarint } from "./write-varint.ts";

/** `kvs`, `more` and `count` of a RangeResponse, as etcd writes them after the header. */
export function encodeRangeBody(kvs: readonly Uint8Array[], more: boolean, count: bigint): Uint8Array {
  let total = 13;
  for (const { length } of kvs) total += 1 + varintBytes(length) + length;
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const kv of kvs) {
    bytes[at++] = 0x12;
    at = writeVarint(bytes, at, kv.length);
    bytes.set(kv, at);
    at += kv.length;
  }
  if (more) {
    bytes[at++] = 0x18;
    bytes[at++] = 1;
  }
  if (count !== 0n) {
    bytes[at++] = 0x20;
    at = writeBigVarint(bytes, at, count);
  }
  return bytes.subarray(0, at);
}
