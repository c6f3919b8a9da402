import { WireReader, WireType } from "./wire-reader.ts";

/** Which kind of request the bytes are. */
export type SortedRequest = "range" | "txn";

const rangeFields = { sortOrder: 5, sortTarget: 6 } as const;
const txnFields = { success: 2, failure: 3 } as const;
const opFields = { range: 1, txn: 4 } as const;
const highestOrder = 2;
const highestTarget = 4;

/**
 * Whether a Range, or a Range anywhere inside a Txn, asks for a sort order or target that the schema does not have. etcd
 * 3.4 and 3.5 die of such a request (rule 13); from 3.6 on they answer `etcdserver: invalid sort option`.
 * @throws RangeError where the bytes are no message
 */
export function hasInvalidSort(bytes: Uint8Array, kind: SortedRequest): boolean {
  return kind === "range" ? isBadRange(bytes, 0, bytes.length) : isBadTxn(bytes, 0, bytes.length);
}

function isBadRange(bytes: Uint8Array, start: number, end: number): boolean {
  const reader = new WireReader(bytes, start, end);
  let order = 0;
  let target = 0;
  while (reader.next()) {
    if (reader.wireType !== WireType.varint) continue;
    if (reader.fieldNumber === rangeFields.sortOrder) order = enumAt(reader);
    if (reader.fieldNumber === rangeFields.sortTarget) target = enumAt(reader);
  }
  return order > highestOrder || target > highestTarget;
}

function isBadTxn(bytes: Uint8Array, start: number, end: number): boolean {
  const reader = new WireReader(bytes, start, end);
  while (reader.next()) {
    const isOp = reader.fieldNumber === txnFields.success || reader.fieldNumber === txnFields.failure;
    if (isOp && reader.wireType === WireType.bytes && isBadOp(reader)) return true;
  }
  return false;
}

function isBadOp({ bytes, valueStart, valueEnd }: WireReader): boolean {
  const reader = new WireReader(bytes, valueStart, valueEnd);
  while (reader.next()) {
    if (reader.wireType !== WireType.bytes) continue;
    if (reader.fieldNumber === opFields.range && isBadRange(bytes, reader.valueStart, reader.valueEnd))
      return true;
    if (reader.fieldNumber === opFields.txn && isBadTxn(bytes, reader.valueStart, reader.valueEnd))
      return true;
  }
  return false;
}

/**
 * An enum's number, as far as it matters: more than one byte is past every enum here, and so is a negative one. Padding
 * (`0x80 0x00` for 0) is legal and means the number.
 */
function enumAt({ bytes, valueStart, valueEnd }: WireReader): number {
  let value = 0;
  for (let i = valueEnd - 1; i >= valueStart; i--) value = value * 128 + ((bytes[i] ?? 0) & 0x7f);
  return value;
}
