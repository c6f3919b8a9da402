import { readInt64, readNumber, readUint64 } from "./read-varint.ts";
import { WireReader, WireType } from "./wire-reader.ts";

/** What a header says. All zero where etcd left it out. */
export interface HeaderView {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: bigint;
  readonly raftTerm: bigint;
}

/** One event of a watch, its bytes kept as they came: fields that the schema does not know stay in them (rule 35). */
export interface EventView {
  readonly key: Uint8Array;
  readonly modRevision: bigint;
  readonly isDelete: boolean;
  /** A put that made the key: there is nothing before it. */
  readonly isCreate: boolean;
  /** The message `mvccpb.Event` without `prev_kv`. */
  readonly plain: Uint8Array;
  /** The message `mvccpb.KeyValue` of `prev_kv`, if it was there. */
  readonly prevKv: Uint8Array | undefined;
}

/** A WatchResponse without decoding more than a proxy needs. Byte fields are views of the message's own bytes. */
export interface WatchResponseView {
  readonly header: HeaderView;
  readonly watchId: bigint;
  readonly isCreated: boolean;
  readonly isCanceled: boolean;
  readonly compactRevision: bigint;
  readonly cancelReason: string;
  /** More fragments of the same response follow. */
  readonly isFragment: boolean;
  readonly events: readonly EventView[];
}

const utf8 = new TextDecoder();
const noHeader: HeaderView = { clusterId: 0n, memberId: 0n, revision: 0n, raftTerm: 0n };

/**
 * Reads a WatchResponse.
 * @throws RangeError where the bytes are no message, or an event has no key
 */
export function readWatchResponse(bytes: Uint8Array): WatchResponseView {
  const reader = new WireReader(bytes);
  const events: EventView[] = [];
  let header = noHeader;
  let watchId = 0n;
  let compactRevision = 0n;
  let isCreated = false;
  let isCanceled = false;
  let isFragment = false;
  let cancelReason = "";
  while (reader.next()) {
    switch ((reader.fieldNumber << 3) | reader.wireType) {
      case 0x0a:
        header = readHeader(bytes, reader.valueStart, reader.valueEnd);
        break;
      case 0x10:
        watchId = readInt64(bytes, reader.valueStart);
        break;
      case 0x18:
        isCreated = readNumber(bytes, reader.valueStart) !== 0;
        break;
      case 0x20:
        isCanceled = readNumber(bytes, reader.valueStart) !== 0;
        break;
      case 0x28:
        compactRevision = readInt64(bytes, reader.valueStart);
        break;
      case 0x32:
        cancelReason = utf8.decode(bytes.subarray(reader.valueStart, reader.valueEnd));
        break;
      case 0x38:
        isFragment = readNumber(bytes, reader.valueStart) !== 0;
        break;
      case 0x5a:
        events.push(readEvent(bytes, reader.valueStart, reader.valueEnd));
        break;
    }
  }
  return { header, watchId, isCreated, isCanceled, compactRevision, cancelReason, isFragment, events };
}

/** Reads a ResponseHeader that is part of `bytes`. */
function readHeader(bytes: Uint8Array, start: number, end: number): HeaderView {
  const reader = new WireReader(bytes, start, end);
  let { clusterId, memberId, revision, raftTerm } = noHeader;
  while (reader.next()) {
    if (reader.wireType !== WireType.varint) continue;
    if (reader.fieldNumber === 1) clusterId = readUint64(bytes, reader.valueStart);
    else if (reader.fieldNumber === 2) memberId = readUint64(bytes, reader.valueStart);
    else if (reader.fieldNumber === 3) revision = readInt64(bytes, reader.valueStart);
    else if (reader.fieldNumber === 4) raftTerm = readUint64(bytes, reader.valueStart);
  }
  return { clusterId, memberId, revision, raftTerm };
}

/** Reads the header of any response of etcd's that has it as field 1, as all but two have. */
export function readResponseHeader(bytes: Uint8Array): HeaderView {
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.fieldNumber === 1 && reader.wireType === WireType.bytes) {
      return readHeader(bytes, reader.valueStart, reader.valueEnd);
    }
  }
  return noHeader;
}

function readEvent(bytes: Uint8Array, start: number, end: number): EventView {
  const reader = new WireReader(bytes, start, end);
  let isDelete = false;
  let kv: { key: Uint8Array; modRevision: bigint; version: number } | undefined;
  let prevKv: Uint8Array | undefined;
  let prevStart = end;
  let prevEnd = end;
  while (reader.next()) {
    switch ((reader.fieldNumber << 3) | reader.wireType) {
      case 0x08:
        isDelete = readNumber(bytes, reader.valueStart) === 1;
        break;
      case 0x12:
        kv = readKeyValue(bytes, reader.valueStart, reader.valueEnd);
        break;
      case 0x1a:
        prevKv = bytes.subarray(reader.valueStart, reader.valueEnd);
        prevStart = reader.fieldStart;
        prevEnd = reader.valueEnd;
        break;
    }
  }
  if (kv === undefined) throw new RangeError("malformed message: an event without a key");
  return {
    key: kv.key,
    modRevision: kv.modRevision,
    isDelete,
    isCreate: !isDelete && kv.version === 1,
    plain: without(bytes, start, end, prevStart, prevEnd),
    prevKv,
  };
}

function readKeyValue(bytes: Uint8Array, start: number, end: number) {
  const reader = new WireReader(bytes, start, end);
  let key: Uint8Array = new Uint8Array(0);
  let modRevision = 0n;
  let version = 0;
  while (reader.next()) {
    switch ((reader.fieldNumber << 3) | reader.wireType) {
      case 0x0a:
        key = bytes.subarray(reader.valueStart, reader.valueEnd);
        break;
      case 0x18:
        modRevision = readInt64(bytes, reader.valueStart);
        break;
      case 0x20:
        version = readNumber(bytes, reader.valueStart);
        break;
    }
  }
  return { key, modRevision, version };
}

/** The bytes from `start` to `end` but for those from `cutStart` to `cutEnd`; a view where the cut is at the end. */
function without(
  bytes: Uint8Array,
  start: number,
  end: number,
  cutStart: number,
  cutEnd: number,
): Uint8Array {
  if (cutEnd === end) return bytes.subarray(start, cutStart);
  const rest = new Uint8Array(end - start - (cutEnd - cutStart));
  rest.set(bytes.subarray(start, cutStart));
  rest.set(bytes.subarray(cutEnd, end), cutStart - start);
  return rest;
}
