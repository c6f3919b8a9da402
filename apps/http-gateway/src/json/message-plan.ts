import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";

/** A field as both directions of the JSON mapping need it. */
export interface FieldPlan {
  readonly desc: DescField;
  /** Name in the schema, which etcd writes. */
  readonly name: string;
  /** Name in lower camel case, which etcd also reads. */
  readonly jsonName: string;
  /** Property of the message object, or of the value inside its oneof. */
  readonly property: string;
  /** Property of the oneof that the field is in. */
  readonly oneof: string | undefined;
}

export interface MessagePlan {
  /** In the order of declaration, which is the order etcd writes. */
  readonly fields: readonly FieldPlan[];
  /** The one field that protojson takes a key for: camel case first, then the schema's name. */
  readonly byName: ReadonlyMap<string, FieldPlan>;
}

/** What a oneof property holds in protobuf-es. */
export interface OneofValue {
  readonly case: string | undefined;
  readonly value?: unknown;
}

const plans = new WeakMap<DescMessage, MessagePlan>();

/** The plan of a message type, made at first use. */
export function planOf(desc: DescMessage): MessagePlan {
  const known = plans.get(desc);
  if (known !== undefined) return known;
  const fields = desc.fields.map((field) => ({
    desc: field,
    name: field.name,
    jsonName: field.jsonName,
    property: field.localName,
    oneof: field.oneof?.localName,
  }));
  const byName = new Map<string, FieldPlan>();
  for (const field of fields) byName.set(field.name, field);
  for (const field of fields) byName.set(field.jsonName, field);
  const plan = { fields, byName };
  plans.set(desc, plan);
  return plan;
}

/** A message as a bag of properties. The plan knows which there are; the type of one message does not matter here. */
export function asBag(message: Message): Record<string, unknown> {
  return message as unknown as Record<string, unknown>;
}

/** Sets a field, through its oneof where it is in one. */
export function setField(bag: Record<string, unknown>, field: FieldPlan, value: unknown): void {
  if (field.oneof === undefined) bag[field.property] = value;
  else bag[field.oneof] = { case: field.property, value };
}
