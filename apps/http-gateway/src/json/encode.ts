import { isUtf8 } from "node:buffer";
import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { base64Member, type JsonStyle } from "./json-style.ts";
import { asBag, type FieldPlan, type OneofValue, planOf } from "./message-plan.ts";

/**
 * Writes a message as etcd's JSON door does: names of the schema, fields in the order of declaration, defaults left
 * out, 64-bit numbers as strings, bytes as base64, enums by name, no white space.
 *
 * (protojson in etcd 3.6 and later puts a space behind every comma in some builds and not in others; here there is
 * none.)
 */
export function encodeJson(desc: DescMessage, message: Message, style: JsonStyle): string {
  const bag = asBag(message);
  let out = "";
  for (const field of planOf(desc).fields) {
    const text = encodeField(field, bag, style);
    if (text !== undefined) out += `${out === "" ? "" : ","}"${field.name}":${text}`;
  }
  return `{${out}}`;
}

/** Nothing where the field has its default. */
function encodeField(plan: FieldPlan, bag: Record<string, unknown>, style: JsonStyle): string | undefined {
  if (plan.oneof !== undefined) {
    const chosen = bag[plan.oneof] as OneofValue;
    return chosen.case === plan.property ? encodeSingle(plan.desc, chosen.value, style) : undefined;
  }
  const value = bag[plan.property];
  if (value === undefined || isDefault(value)) return undefined;
  if (plan.desc.fieldKind !== "list") return encodeSingle(plan.desc, value, style);
  const items = value as readonly unknown[];
  let out = "";
  for (const item of items) out += `${out === "" ? "" : ","}${encodeSingle(plan.desc, item, style)}`;
  return `[${out}]`;
}

function isDefault(value: unknown): boolean {
  switch (typeof value) {
    case "bigint":
      return value === 0n;
    case "number":
      return value === 0;
    case "string":
      return value === "";
    case "boolean":
      return !value;
    default:
      // Lists and bytes are left out when empty; a sub-message that is set is written even if it is `{}`.
      return (Array.isArray(value) || value instanceof Uint8Array) && value.length === 0;
  }
}

/** One value, or one item of a list. */
function encodeSingle(field: DescField, value: unknown, style: JsonStyle): string {
  if (field.message !== undefined) return encodeJson(field.message, value as Message, style);
  if (field.enum !== undefined) return encodeEnum(field.enum, value as number);
  switch (field.scalar) {
    case ScalarType.BYTES:
      return encodeBytes(value as Uint8Array, style);
    case ScalarType.STRING:
      return style.quote(value as string);
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return `"${value as bigint}"`;
    default:
      return String(value);
  }
}

function encodeEnum(desc: DescEnum, value: number): string {
  const name = desc.value[value]?.name;
  return name === undefined ? String(value) : `"${name}"`;
}

function encodeBytes(value: Uint8Array, style: JsonStyle): string {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (style.bytes === "base64") return `"${bytes.toString("base64")}"`;
  return isUtf8(bytes) ? style.quote(bytes.toString()) : `{"${base64Member}":"${bytes.toString("base64")}"}`;
}
