import type { EventView, HeaderView } from "./watch-response.ts";
import { varintBytes, writeBigVarint, writeVarint } from "./write-varint.ts";

/** Field 1 of most of etcd's responses: tag, length and the header. Zero fields are not on the wire. */
export function encodeHeader(header: HeaderView): Uint8Array {
  const bytes = new Uint8Array(2 + 44);
  let at = 2;
  for (const [tag, value] of [
    [0x08, header.clusterId],
    [0x10, header.memberId],
    [0x18, header.revision],
    [0x20, header.raftTerm],
  ] as const) {
    if (value === 0n) continue;
    bytes[at++] = tag;
    at = writeBigVarint(bytes, at, value);
  }
  bytes[0] = 0x0a;
  bytes[1] = at - 2;
  return bytes.slice(0, at);
}

/**
 * What differs from watch to watch in an event response, in front of the events: the header, `watch_id` and `fragment`.
 * @param header from `encodeHeader`
 */
export function encodeWatchHead(header: Uint8Array, watchId: bigint, isFragment: boolean): Uint8Array {
  if (watchId === 0n && !isFragment) return header;
  const bytes = new Uint8Array(header.length + 13);
  bytes.set(header);
  let at = header.length;
  if (watchId !== 0n) {
    bytes[at++] = 0x10;
    at = writeBigVarint(bytes, at, watchId);
  }
  if (isFragment) {
    bytes[at++] = 0x38;
    bytes[at++] = 1;
  }
  return bytes.subarray(0, at);
}

/** Field 11 of a WatchResponse, once for each event: the same for every watch that gets them. */
export function encodeEvents(events: readonly EventView[], withPrevKv: boolean): Uint8Array {
  let total = 0;
  for (const event of events) {
    const length = eventBytes(event, withPrevKv);
    total += 1 + varintBytes(length) + length;
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const event of events) {
    bytes[at++] = 0x5a;
    at = writeVarint(bytes, at, eventBytes(event, withPrevKv));
    bytes.set(event.plain, at);
    at += event.plain.length;
    if (!withPrevKv || event.prevKv === undefined) continue;
    bytes[at++] = 0x1a;
    at = writeVarint(bytes, at, event.prevKv.length);
    bytes.set(event.prevKv, at);
    at += event.prevKv.length;
  }
  return bytes;
}

/** The size of one event as a message. */
export function eventBytes({ plain, prevKv }: EventView, withPrevKv: boolean): number {
  if (!withPrevKv || prevKv === undefined) return plain.length;
  return plain.length + 1 + varintBytes(prevKv.length) + prevKv.length;
}
