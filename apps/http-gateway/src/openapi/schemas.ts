import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { planOf } from "../json/message-plan.ts";

/** A schema object of OpenAPI. */
export type Schema = Readonly<Record<string, unknown>>;

const int64 = (format: "int64" | "uint64"): Schema => ({
  type: "string",
  format,
  description:
    "A 64-bit number as text, so that JavaScript does not round it; a request may have it as a number.",
});

const scalars: Readonly<Partial<Record<ScalarType, Schema>>> = {
  [ScalarType.BYTES]: { type: "string", format: "byte", description: "base64; text with `utf8`" },
  [ScalarType.STRING]: { type: "string" },
  [ScalarType.BOOL]: { type: "boolean" },
  [ScalarType.INT64]: int64("int64"),
  [ScalarType.UINT64]: int64("uint64"),
  [ScalarType.UINT32]: { type: "integer", format: "int64", minimum: 0, maximum: 0xffff_ffff },
};

/** The schemas of messages and all they are made of, collected as they are asked for. */
export class SchemaCollection {
  readonly #schemas = new Map<string, Schema>();

  /** A reference to the schema of a message. */
  ref(desc: DescMessage): Schema {
    const name = desc.typeName;
    if (!this.#schemas.has(name)) {
      this.#schemas.set(name, {}); // messages may be made of themselves
      this.#schemas.set(name, this.#message(desc));
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  /** All that were asked for, by name. */
  toJSON(): Readonly<Record<string, Schema>> {
    return Object.fromEntries([...this.#schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** The schema of a field by itself, as of a parameter. */
  field(field: DescField): Schema {
    const single = this.#single(field);
    return field.fieldKind === "list" ? { type: "array", items: single } : single;
  }

  #message(desc: DescMessage): Schema {
    const properties = Object.fromEntries(
      planOf(desc).fields.map(({ name, desc: field }) => [name, this.field(field)]),
    );
    const oneofs = desc.oneofs.filter(({ fields }) => fields.length > 1);
    const description = oneofs
      .map(({ fields }) => `At most one of ${fields.map((field) => field.name).join(", ")}.`)
      .join(" ");
    return { type: "object", ...(description === "" ? {} : { description }), properties };
  }

  #single(field: DescField): Schema {
    if (field.message !== undefined) return this.ref(field.message);
    if (field.enum !== undefined) return this.#enum(field.enum);
    return scalars[field.scalar ?? ScalarType.STRING] ?? {};
  }

  #enum(desc: DescEnum): Schema {
    const [first] = desc.values;
    this.#schemas.set(desc.typeName, {
      type: "string",
      enum: desc.values.map(({ name }) => name),
      default: first?.name,
    });
    return { $ref: `#/components/schemas/${desc.typeName}` };
  }
}
