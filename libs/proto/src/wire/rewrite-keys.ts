import type { FieldPlan, MessagePlan } from "./message-plan.ts";
import { WireReader } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

/** What becomes of keys. Each gets a view of the value and returns another, possibly of other bytes. */
export interface KeyRewriting {
  key(value: Uint8Array): Uint8Array;
  rangeEnd(value: Uint8Array): Uint8Array;
  /** For lists of keys: nothing leaves the key out. */
  keyOfList(value: Uint8Array): Uint8Array | undefined;
}

/**
 * Rewrites the keys inside a message; every other byte stays as it is, unknown fields too. The bytes must be canonical
 * (`toCanonical`). A key that is empty is not on the wire and stays so.
 */
export function rewriteKeys(bytes: Uint8Array, plan: MessagePlan, rewriting: KeyRewriting): Uint8Array {
  return rewrite(bytes, 0, bytes.length, plan, rewriting);
}

function rewrite(
  bytes: Uint8Array,
  start: number,
  end: number,
  plan: MessagePlan,
  rewriting: KeyRewriting,
): Uint8Array {
  const reader = new WireReader(bytes, start, end);
  const writer = new WireWriter(end - start + 64);
  while (reader.next()) {
    const field = plan.fields.get(reader.fieldNumber);
    const value = field === undefined ? undefined : rewriteField(field, reader, rewriting);
    if (field === undefined || value === "asItIs") writer.copy(bytes, reader.fieldStart, reader.valueEnd);
    else if (value !== undefined) writer.bytesField(field.number, value, nothing);
  }
  return writer.finish();
}

function rewriteField(
  field: FieldPlan,
  reader: WireReader,
  rewriting: KeyRewriting,
): Uint8Array | "asItIs" | undefined {
  if (field.nested !== undefined) {
    return rewrite(reader.bytes, reader.valueStart, reader.valueEnd, field.nested, rewriting);
  }
  if (field.role === undefined) return "asItIs";
  const value = reader.bytes.subarray(reader.valueStart, reader.valueEnd);
  return value.length === 0 ? "asItIs" : rewriting[field.role](value);
}

const nothing = new Uint8Array(0);
