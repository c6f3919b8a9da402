import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { WireType } from "./wire-reader.ts";

/**
 * What a bytes field means to a rewriting of keys.
 * - `key`: a key. An empty one is not on the wire and stays so: etcd refuses it.
 * - `start`: the beginning of a key, that may be empty; it is put in where it is not on the wire.
 * - `watchKey`: a key; an empty one, on the wire or not, means the key `\0` (etcd's Watch reads it so).
 * - `rangeEnd`: the end of a range, in etcd's notation.
 * - `keyOfList`: one of several keys.
 */
type KeyRole = "key" | "start" | "watchKey" | "rangeEnd" | "keyOfList";

/** Which fields of which messages have a role: message type, then field name as in the schema. */
export type KeyRoles = Readonly<Record<string, Readonly<Record<string, KeyRole>>>>;

/** What is known of one field on the wire. */
export interface FieldPlan {
  readonly number: number;
  /** The wire types it may come in: repeated numbers come packed or one by one. */
  readonly wireTypes: readonly number[];
  /** Fields that exclude each other share a group; a singular field is a group of its own; repeated ones have none. */
  readonly group: string | undefined;
  readonly role: KeyRole | undefined;
  /** Only where a field with a role stands somewhere inside. */
  readonly nested: MessagePlan | undefined;
}

/** How to walk a message: derived from its descriptor and the roles of its fields. */
export interface MessagePlan {
  readonly message: DescMessage;
  readonly fields: ReadonlyMap<number, FieldPlan>;
  /** The field of role `start` or `watchKey`, if there is one: a message has at most one. */
  readonly start: FieldPlan | undefined;
}

/** @returns nothing where no field inside the message has a role: its bytes need no look */
export function planMessage(message: DescMessage, roles: KeyRoles): MessagePlan | undefined {
  return plan(message, roles, new Map());
}

function plan(
  message: DescMessage,
  roles: KeyRoles,
  known: Map<DescMessage, MessagePlan | undefined>,
): MessagePlan | undefined {
  if (known.has(message)) return known.get(message);
  if (!reaches(message, roles, new Set())) {
    known.set(message, undefined);
    return undefined;
  }
  const fields = new Map<number, FieldPlan>();
  const made: { -readonly [K in keyof MessagePlan]: MessagePlan[K] } = { message, fields, start: undefined };
  known.set(message, made); // before its fields: TxnRequest contains itself
  for (const field of message.fields) {
    const row: FieldPlan = {
      number: field.number,
      wireTypes: wireTypesOf(field),
      group: isRepeated(field) ? undefined : (field.oneof?.name ?? field.name),
      role: roles[message.typeName]?.[field.name],
      nested: field.message === undefined ? undefined : plan(field.message, roles, known),
    };
    fields.set(field.number, row);
    if (row.role === "start" || row.role === "watchKey") made.start = row;
  }
  return made;
}

function reaches(message: DescMessage, roles: KeyRoles, seen: Set<DescMessage>): boolean {
  if (seen.has(message)) return false;
  seen.add(message);
  if (roles[message.typeName] !== undefined) return true;
  return message.fields.some((field) => field.message !== undefined && reaches(field.message, roles, seen));
}

function isRepeated(field: DescField): boolean {
  return field.fieldKind === "list";
}

function wireTypesOf(field: DescField): readonly number[] {
  switch (field.fieldKind) {
    case "message":
    case "map":
      return [WireType.bytes];
    case "list":
      return field.listKind === "enum" || (field.listKind === "scalar" && !isLengthDelimited(field.scalar))
        ? [WireType.bytes, WireType.varint]
        : [WireType.bytes];
    case "enum":
      return [WireType.varint];
    case "scalar":
      return [isLengthDelimited(field.scalar) ? WireType.bytes : WireType.varint];
    default:
      return field satisfies never;
  }
}

/** etcd's schema has no fixed-width numbers: what is not text or bytes is a varint. */
function isLengthDelimited(scalar: number): boolean {
  const stringType = 9;
  const bytesType = 12;
  return scalar === stringType || scalar === bytesType;
}
