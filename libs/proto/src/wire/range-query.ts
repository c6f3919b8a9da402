import { readInt64, readNumber } from "./read-varint.ts";
import { WireReader, WireType } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

/** All that a RangeRequest says. */
export interface RangeQuery {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  /** Most keys in the answer; 0 and below is no limit. */
  readonly limit: bigint;
  /** 0 and below is the present. */
  readonly revision: bigint;
  readonly sortOrder: number;
  readonly sortTarget: number;
  readonly isSerializable: boolean;
  readonly isKeysOnly: boolean;
  readonly isCountOnly: boolean;
  /** Bounds of revisions; 0 is none. */
  readonly minModRevision: bigint;
  readonly maxModRevision: bigint;
  readonly minCreateRevision: bigint;
  readonly maxCreateRevision: bigint;
}

const field = { revision: 4, serializable: 7 } as const;
const highestField = 13;
const none = new Uint8Array(0);

/**
 * Reads a RangeRequest. Of a field that stands there twice the last counts, as for etcd. Byte fields are views.
 * @returns nothing where it has a field that the schema lacks, or one of another type (rule 35)
 * @throws RangeError where the bytes are no message
 */
export function readRangeQuery(bytes: Uint8Array): RangeQuery | undefined {
  const numbers: bigint[] = [];
  let key: Uint8Array = none;
  let rangeEnd: Uint8Array = none;
  const reader = new WireReader(bytes);
  while (reader.next()) {
    const { fieldNumber, wireType, valueStart, valueEnd } = reader;
    const isBytes = fieldNumber === 1 || fieldNumber === 2;
    if (fieldNumber > highestField || wireType !== (isBytes ? WireType.bytes : WireType.varint))
      return undefined;
    if (fieldNumber === 1) key = bytes.subarray(valueStart, valueEnd);
    else if (fieldNumber === 2) rangeEnd = bytes.subarray(valueStart, valueEnd);
    else numbers[fieldNumber] = readInt64(bytes, valueStart);
  }
  const at = (number: number): bigint => numbers[number] ?? 0n;
  return {
    key,
    rangeEnd,
    limit: at(3),
    revision: at(4),
    sortOrder: Number(at(5)),
    sortTarget: Number(at(6)),
    isSerializable: at(7) !== 0n,
    isKeysOnly: at(8) !== 0n,
    isCountOnly: at(9) !== 0n,
    minModRevision: at(10),
    maxModRevision: at(11),
    minCreateRevision: at(12),
    maxCreateRevision: at(13),
  };
}

/**
 * The same RangeRequest for the present and for a quorum: `revision` and `serializable` are left out, all else stays as it
 * came. Requests that differ in those alone are equal after it.
 * @throws RangeError where the bytes are no message
 */
export function withoutTime(bytes: Uint8Array): Uint8Array {
  return without(bytes, true);
}

/** The same RangeRequest, asking a quorum. @throws RangeError where the bytes are no message */
export function withoutSerializable(bytes: Uint8Array): Uint8Array {
  return without(bytes, false);
}

function without(bytes: Uint8Array, dropsRevision: boolean): Uint8Array {
  const reader = new WireReader(bytes);
  const writer = new WireWriter(bytes.length);
  while (reader.next()) {
    const isDropped =
      reader.fieldNumber === field.serializable || (dropsRevision && reader.fieldNumber === field.revision);
    if (!isDropped) writer.copy(bytes, reader.fieldStart, reader.valueEnd);
  }
  return writer.finish();
}

/** What of a KeyValue decides where it stands in an answer. */
export interface KeyValueView {
  readonly key: Uint8Array;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
}

/** Reads a KeyValue. @throws RangeError where the bytes are no message */
export function readKeyValue(bytes: Uint8Array): KeyValueView {
  let key: Uint8Array = none;
  let createRevision = 0n;
  let modRevision = 0n;
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.fieldNumber === 1 && reader.wireType === WireType.bytes)
      key = bytes.subarray(reader.valueStart, reader.valueEnd);
    else if (reader.fieldNumber === 2 && reader.wireType === WireType.varint)
      createRevision = readInt64(bytes, reader.valueStart);
    else if (reader.fieldNumber === 3 && reader.wireType === WireType.varint)
      modRevision = readInt64(bytes, reader.valueStart);
  }
  return { key, createRevision, modRevision };
}

/** The same KeyValue without its value, as `keys_only` shows it. */
export function withoutValue(bytes: Uint8Array): Uint8Array {
  const reader = new WireReader(bytes);
  const writer = new WireWriter(bytes.length);
  while (reader.next()) {
    if (reader.fieldNumber !== 5) writer.copy(bytes, reader.fieldStart, reader.valueEnd);
  }
  return writer.finish();
}

/** The message `mvccpb.KeyValue` in the bytes of an event, as it came; nothing where there is none. */
export function keyValueOfEvent(event: Uint8Array): Uint8Array | undefined {
  let found: Uint8Array | undefined;
  const reader = new WireReader(event);
  while (reader.next()) {
    if (reader.fieldNumber === 2 && reader.wireType === WireType.bytes)
      found = event.subarray(reader.valueStart, reader.valueEnd);
  }
  return found;
}

/** A RangeResponse without its header: each kv, whether there is more, and how many keys the range has. */
export interface RangeBodyView {
  readonly kvs: readonly Uint8Array[];
  readonly more: boolean;
  readonly count: bigint;
}

/** Reads a RangeResponse, or one without its header. @throws RangeError where the bytes are no message */
export function readRangeBody(bytes: Uint8Array): RangeBodyView {
  const kvs: Uint8Array[] = [];
  let more = false;
  let count = 0n;
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.fieldNumber === 2 && reader.wireType === WireType.bytes)
      kvs.push(bytes.subarray(reader.valueStart, reader.valueEnd));
    else if (reader.fieldNumber === 3 && reader.wireType === WireType.varint)
      more = readNumber(bytes, reader.valueStart) !== 0;
    else if (reader.fieldNumber === 4 && reader.wireType === WireType.varint)
      count = readInt64(bytes, reader.valueStart);
  }
  return { kvs, more, count };
}

/**
 * What of a RangeResponse is not its header, which etcd writes first.
 * @throws RangeError where it is no such message
 */
export function bodyOfRange(response: Uint8Array): Uint8Array {
  const reader = new WireReader(response);
  if (!reader.next()) return response;
  return reader.fieldNumber === 1 ? response.subarray(reader.valueEnd) : response;
}
