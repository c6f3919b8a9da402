import { readNumber } from "./read-varint.ts";
import { WireReader, WireType } from "./wire-reader.ts";

/** What of a RangeRequest decides who may share its answer. */
export interface RangeShape {
  /** It has only fields that the schema knows, each of its type, and enums that it has (rules 13, 35). */
  readonly isKnown: boolean;
  /** One member's own store will do; all others ask a quorum. */
  readonly isSerializable: boolean;
  /** One key: there is no `range_end`. */
  readonly isPoint: boolean;
  /** Most keys in the answer; 0 is no limit. Past 2^53 it is only about right, a negative one reads as a large one. */
  readonly limit: number;
  /** It asks for the present, not for a revision. */
  readonly isOfNow: boolean;
}

/**
 * The key of a RangeRequest; empty where it has none, or the bytes are no message.
 */
export function readRangeKey(bytes: Uint8Array): Uint8Array {
  let key = bytes.subarray(0, 0);
  try {
    const reader = new WireReader(bytes);
    while (reader.next()) {
      if (reader.fieldNumber === field.key && reader.wireType === WireType.bytes)
        key = bytes.subarray(reader.valueStart, reader.valueEnd);
    }
  } catch {
    // Whoever reads it next says what is wrong.
  }
  return key;
}

const field = {
  key: 1,
  rangeEnd: 2,
  limit: 3,
  revision: 4,
  sortOrder: 5,
  sortTarget: 6,
  serializable: 7,
} as const;
const highestField = 13;
const highestOrder = 2;
const highestTarget = 4;

/**
 * Looks a RangeRequest over without decoding it. Of a field that stands there twice the last counts, as for every decoder.
 * @throws RangeError where the bytes are no message
 */
export function readRangeShape(bytes: Uint8Array): RangeShape {
  const shape = { isKnown: true, isSerializable: false, isPoint: true, limit: 0, isOfNow: true };
  const reader = new WireReader(bytes);
  while (reader.next()) {
    const { fieldNumber, wireType, valueStart, valueEnd } = reader;
    const isBytes = fieldNumber === field.key || fieldNumber === field.rangeEnd;
    if (fieldNumber > highestField || wireType !== (isBytes ? WireType.bytes : WireType.varint)) {
      shape.isKnown = false;
      continue;
    }
    switch (fieldNumber) {
      case field.rangeEnd:
        shape.isPoint = valueStart === valueEnd;
        break;
      case field.limit:
        shape.limit = readNumber(bytes, valueStart);
        break;
      case field.revision:
        shape.isOfNow = readNumber(bytes, valueStart) === 0;
        break;
      case field.sortOrder:
        if (readNumber(bytes, valueStart) > highestOrder) shape.isKnown = false;
        break;
      case field.sortTarget:
        if (readNumber(bytes, valueStart) > highestTarget) shape.isKnown = false;
        break;
      case field.serializable:
        shape.isSerializable = readNumber(bytes, valueStart) !== 0;
        break;
      default:
        break;
    }
  }
  return shape;
}
