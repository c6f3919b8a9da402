import { readInt64 } from "./read-varint.ts";
import { WireReader, WireType } from "./wire-reader.ts";

const headerField = 1;
const revisionField = 3;
/** `range_response` of a RangeStreamResponse. */
const innerField = 1;

/**
 * `header.revision` of an answer, without decoding the rest: in every answer of etcd's that has one, the header is field 1.
 * 0 where there is none.
 * @throws RangeError where the bytes are no message
 */
export function readHeaderRevision(bytes: Uint8Array): bigint {
  return revisionOf(bytes, 0, bytes.length);
}

/**
 * The same where the header is known to come first, as etcd writes it: looks no further, however large the answer is.
 * @throws RangeError where the bytes are no message
 */
export function peekHeaderRevision(bytes: Uint8Array): bigint {
  const reader = new WireReader(bytes);
  if (!reader.next() || reader.fieldNumber !== headerField) return 0n;
  return revisionOf(bytes, reader.fieldStart, reader.valueEnd);
}

/** The same for one message of a RangeStream, whose header is one level further down; only the last has one. */
export function readStreamedRevision(bytes: Uint8Array): bigint {
  const reader = new WireReader(bytes);
  let revision = 0n;
  while (reader.next()) {
    if (reader.fieldNumber === innerField && reader.wireType === WireType.bytes)
      revision = revisionOf(bytes, reader.valueStart, reader.valueEnd);
  }
  return revision;
}

function revisionOf(bytes: Uint8Array, start: number, end: number): bigint {
  const reader = new WireReader(bytes, start, end);
  let revision = 0n;
  while (reader.next()) {
    if (reader.fieldNumber !== headerField || reader.wireType !== WireType.bytes) continue;
    const header = new WireReader(bytes, reader.valueStart, reader.valueEnd);
    while (header.next()) {
      if (header.fieldNumber === revisionField && header.wireType === WireType.varint)
        revision = readInt64(bytes, header.valueStart);
    }
  }
  return revision;
}
