import { WireReader, WireType } from "./wire-reader.ts";
import { varintBytes, writeVarint } from "./write-varint.ts";

const successTag = 0x12;
const opRangeTag = 0x0a;
const headerField = 1;
const responsesField = 3;
const rangeAnswerField = 1;

/** Reads that travel together: a TxnRequest without compares whose success branch is these RangeRequests, in order. */
export function encodeReadTxn(ranges: readonly Uint8Array[]): Uint8Array {
  let total = 0;
  for (const { length } of ranges) total += framedBytes(framedBytes(length));
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const range of ranges) {
    bytes[at++] = successTag;
    at = writeVarint(bytes, at, framedBytes(range.length));
    bytes[at++] = opRangeTag;
    at = writeVarint(bytes, at, range.length);
    bytes.set(range, at);
    at += range.length;
  }
  return bytes;
}

/** A tag of one byte, a length, and so many bytes. */
function framedBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

/** The answers to reads that travelled together. */
export interface ReadTxnAnswers {
  /** Field 1 of every RangeResponse, with its tag: the header of the whole answer. The inner ones hold a revision only. */
  readonly header: Uint8Array;
  /** What follows the header in each RangeResponse. */
  readonly rests: readonly Uint8Array[];
}

/**
 * Takes the answer to `encodeReadTxn` apart, without copying.
 * @throws RangeError where it is no such answer, or not one to `count` reads
 */
export function decodeReadTxn(answer: Uint8Array, count: number): ReadTxnAnswers {
  let header: Uint8Array = new Uint8Array(0);
  const rests: Uint8Array[] = [];
  const reader = new WireReader(answer);
  while (reader.next()) {
    if (reader.wireType !== WireType.bytes) continue;
    if (reader.fieldNumber === headerField) header = answer.subarray(reader.fieldStart, reader.valueEnd);
    if (reader.fieldNumber === responsesField) rests.push(restOf(reader));
  }
  if (rests.length !== count) {
    throw new RangeError(`a Txn of ${count} reads was answered with ${rests.length} answers`);
  }
  return { header, rests };
}

/** Of a ResponseOp: its RangeResponse without the header, which encoders write first. */
function restOf({ bytes, valueStart, valueEnd }: WireReader): Uint8Array {
  const op = new WireReader(bytes, valueStart, valueEnd);
  if (!op.next() || op.fieldNumber !== rangeAnswerField || op.wireType !== WireType.bytes) {
    throw new RangeError("a read in a Txn was answered with something else");
  }
  const range = new WireReader(bytes, op.valueStart, op.valueEnd);
  const hasHeader = range.next() && range.fieldNumber === headerField;
  return bytes.subarray(hasHeader ? range.valueEnd : op.valueStart, op.valueEnd);
}
