import {
  type DescEnum,
  type DescEnumValue,
  type DescField,
  type DescMessage,
  type DescMethod,
  getOption,
} from "@bufbuild/protobuf";
import {
  enum$ as enumNote,
  field as fieldNote,
  message as messageNote,
  method as methodNote,
  value as valueNote,
} from "./gen/edge/schema_pb.ts";

/** Minor releases of etcd whose API the schema holds, oldest first. */
export const schemaVersions: readonly ["3.4", "3.5", "3.6", "3.7"] = ["3.4", "3.5", "3.6", "3.7"];

export type SchemaVersion = (typeof schemaVersions)[number];

/**
 * First minor release that has the element. A member of a message or enum is never older than what it is in;
 * "3.4" also stands for everything older.
 *
 * @throws Error when the schema names a release that is not in {@link schemaVersions}.
 */
export function sinceOf(
  desc: DescMessage | DescField | DescEnum | DescEnumValue | DescMethod,
): SchemaVersion {
  switch (desc.kind) {
    case "message":
      return parseSchemaVersion(getOption(desc, messageNote).since);
    case "field":
      return latest(parseSchemaVersion(getOption(desc, fieldNote).since), sinceOf(desc.parent));
    case "enum":
      return latest(
        parseSchemaVersion(getOption(desc, enumNote).since),
        desc.parent === undefined ? "3.4" : sinceOf(desc.parent),
      );
    case "enum_value":
      return latest(parseSchemaVersion(getOption(desc, valueNote).since), sinceOf(desc.parent));
    case "rpc":
      return parseSchemaVersion(getOption(desc, methodNote).since);
  }
}

/** Reads a release from a note of the schema; the empty note means "from the beginning". */
export function parseSchemaVersion(text: string): SchemaVersion {
  if (text === "") return "3.4";
  const known = schemaVersions.find((version) => version === text);
  if (known === undefined)
    throw new Error(`the schema names release "${text}", known are ${schemaVersions.join(", ")}`);
  return known;
}

/** The later of two releases. */
export function latest(a: SchemaVersion, b: SchemaVersion): SchemaVersion {
  return schemaVersions.indexOf(a) >= schemaVersions.indexOf(b) ? a : b;
}
