import type { FieldPlan, MessagePlan } from "./message-plan.ts";
import { WireReader } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

/** What becomes of keys. Each gets a view of the value and returns another, possibly of other bytes. */
export interface KeyRewriting {
  /** Also for `start` and `watchKey`. */
  key(value: Uint8Array): Uint8Array;
  rangeEnd(value: Uint8Array): Uint8Array;
  /** For lists of keys: nothing leaves the key out. */
  keyOfList(value: Uint8Array): Uint8Array | undefined;
}

/**
 * Rewrites the keys inside a message; every other byte stays as it is, unknown fields too. The bytes must be canonical
 * (`toCanonical`).
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
  let missing = plan.start;
  while (reader.next()) {
    const field = plan.fields.get(reader.fieldNumber);
    if (field === missing) missing = undefined;
    const value = field === undefined ? "asItIs" : rewriteField(field, reader, rewriting);
    if (value === "asItIs") writer.copy(bytes, reader.fieldStart, reader.valueEnd);
    else if (value !== undefined) writer.bytesField(reader.fieldNumber, value);
  }
  if (missing !== undefined)
    writer.bytesField(missing.number, rewriting.key(missing.role === "watchKey" ? lowestKey : nothing));
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
  switch (field.role) {
    case "start":
      return orNothing(rewriting.key(value));
    case "watchKey":
      return rewriting.key(value.length === 0 ? lowestKey : value);
    case "key":
      return value.length === 0 ? "asItIs" : orNothing(rewriting.key(value));
    case "rangeEnd":
      return value.length === 0 ? "asItIs" : rewriting.rangeEnd(value);
    case "keyOfList":
      return rewriting.keyOfList(value);
    default:
      return field.role satisfies never;
  }
}

/** An empty value is not on the wire, as every encoder of proto3 has it. */
function orNothing(value: Uint8Array): Uint8Array | undefined {
  return value.length === 0 ? undefined : value;
}

const nothing = new Uint8Array(0);
const lowestKey = Uint8Array.of(0);
