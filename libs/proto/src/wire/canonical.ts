import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MessagePlan } from "./message-plan.ts";
import { WireReader } from "./wire-reader.ts";

/**
 * Bytes of which every reader understands the same (rule 7): on the path to fields with a role, every singular field and
 * every oneof occurs at most once, in its own wire type. Others are decoded and encoded again, the last value wins as in
 * etcd, and those bytes are what everybody goes on with. Unknown fields are kept.
 * @throws RangeError or Error where the bytes are no such message
 */
export function toCanonical(bytes: Uint8Array, plan: MessagePlan): Uint8Array {
  if (isCanonical(bytes, 0, bytes.length, plan)) return bytes;
  return toBinary(plan.message, fromBinary(plan.message, bytes));
}

function isCanonical(bytes: Uint8Array, start: number, end: number, plan: MessagePlan): boolean {
  const reader = new WireReader(bytes, start, end);
  let seen: Set<string> | undefined;
  while (reader.next()) {
    const field = plan.fields.get(reader.fieldNumber);
    if (field === undefined) continue; // unknown: nobody here decides by it
    if (field.wireType !== reader.wireType && field.group !== undefined) return false;
    if (field.nested !== undefined) {
      if (field.wireType !== reader.wireType) return false;
      if (!isCanonical(bytes, reader.valueStart, reader.valueEnd, field.nested)) return false;
    }
    if (field.group === undefined) continue;
    seen ??= new Set();
    if (seen.has(field.group)) return false;
    seen.add(field.group);
  }
  return true;
}
