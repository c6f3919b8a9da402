import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MessagePlan } from "./message-plan.ts";
import { WireReader } from "./wire-reader.ts";

/**
 * Bytes of which every reader understands the same (rule 7): on the path to fields with a role, every singular field and
 * every oneof occurs at most once, in its own wire type. Others are decoded and encoded again, the last value wins as in
 * etcd, and those bytes are what everybody goes on with. Unknown fields are kept.
 *
 * A field of the schema in another wire type is refused, as etcd's decoder does; ours would read on somewhere inside it.
 * @throws RangeError or Error where the bytes are no such message
 */
export function toCanonical(bytes: Uint8Array, plan: MessagePlan): Uint8Array {
  if (isCanonical(bytes, 0, bytes.length, plan)) return bytes;
  const again = toBinary(plan.message, fromBinary(plan.message, bytes));
  // The codec reads past the end of a broken message inside: what it makes of that is not passed on.
  if (!isCanonical(again, 0, again.length, plan))
    throw new RangeError("malformed message: cannot be made unambiguous");
  return again;
}

function isCanonical(bytes: Uint8Array, start: number, end: number, plan: MessagePlan): boolean {
  const reader = new WireReader(bytes, start, end);
  let seen: Set<string> | undefined;
  let isSingle = true;
  while (reader.next()) {
    const field = plan.fields.get(reader.fieldNumber);
    if (field === undefined) continue; // unknown: nobody here decides by it
    if (!field.wireTypes.includes(reader.wireType)) {
      throw new RangeError(`malformed message: wire type ${reader.wireType} for field ${reader.fieldNumber}`);
    }
    if (field.nested !== undefined) {
      // All of it is looked at before the codec sees any of it.
      isSingle = isCanonical(bytes, reader.valueStart, reader.valueEnd, field.nested) && isSingle;
    }
    if (field.group === undefined) continue;
    seen ??= new Set();
    if (seen.has(field.group)) isSingle = false;
    seen.add(field.group);
  }
  return isSingle;
}
