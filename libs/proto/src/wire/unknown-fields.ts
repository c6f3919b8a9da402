import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { WireReader, WireType } from "./wire-reader.ts";

/**
 * Whether a message, or one inside it, has a field that the schema does not know. Such a request is never shared, cached
 * or answered here (rule 35): what the field asks for is known to etcd alone.
 * @throws RangeError where the bytes are no message
 */
export function hasUnknownFields(bytes: Uint8Array, message: DescMessage): boolean {
  return hasUnknown(bytes, 0, bytes.length, message);
}

function hasUnknown(bytes: Uint8Array, start: number, end: number, message: DescMessage): boolean {
  const known = fieldsOf(message);
  const reader = new WireReader(bytes, start, end);
  while (reader.next()) {
    const field = known.get(reader.fieldNumber);
    if (field === undefined) return true;
    if (field.message === undefined || reader.wireType !== WireType.bytes) continue;
    if (hasUnknown(bytes, reader.valueStart, reader.valueEnd, field.message)) return true;
  }
  return false;
}

const fieldMaps = new WeakMap<DescMessage, ReadonlyMap<number, DescField>>();

function fieldsOf(message: DescMessage): ReadonlyMap<number, DescField> {
  let fields = fieldMaps.get(message);
  if (fields === undefined) {
    fields = new Map(message.fields.map((field) => [field.number, field]));
    fieldMaps.set(message, fields);
  }
  return fields;
}
