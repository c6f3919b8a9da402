import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { decodeBase64 } from "./base64.ts";
import { goQuote } from "./go-quote.ts";
import { JsonInputError, within } from "./json-input-error.ts";
import {
  type JsonDocument,
  type JsonMember,
  type JsonNode,
  parseJson,
  rawText,
  stringContent,
} from "./json-node.ts";
import { JsonScanner } from "./json-scanner.ts";
import type { BytesStyle } from "./json-style.ts";
import { asBag, planOf, setField } from "./message-plan.ts";
import { readTextBytes } from "./text-bytes.ts";

/** How Go's jsonpb words an unknown enum name: before or from version 1.4 of golang/protobuf. */
export type EnumWording = "plain" | "quoted";

/**
 * Reads a message as golang/protobuf's jsonpb does (etcd 3.4 and 3.5). Lenient: the last of equal keys counts, the
 * camel-case name wins over the schema's, unknown fields are passed over, `null` leaves a field alone. Strict where
 * Go's `encoding/json` is: numbers without point or exponent, padded standard base64.
 *
 * Two differences from every build of etcd, where etcd has no answer worth keeping: `null` inside a list of messages
 * is refused (etcd's handler panics), and `null` for a member of a oneof never hides another member.
 *
 * @throws JsonInputError with Go's text
 */
export function decodeV1(
  desc: DescMessage,
  document: JsonDocument,
  options: { readonly wording: EnumWording; readonly bytes: BytesStyle },
): Message {
  return new V1Decoder(document.bytes, options).message(desc, document.root);
}

const goKinds = {
  object: "object",
  array: "array",
  string: "string",
  number: "number",
  bool: "bool",
  null: "null",
};

class V1Decoder {
  readonly #bytes: Buffer;
  readonly #options: { readonly wording: EnumWording; readonly bytes: BytesStyle };

  constructor(bytes: Buffer, options: { readonly wording: EnumWording; readonly bytes: BytesStyle }) {
    this.#bytes = bytes;
    this.#options = options;
  }

  message(desc: DescMessage, node: JsonNode): Message {
    const message = create(desc);
    if (node.t === "null") return message;
    if (node.t !== "object") throw mismatch(node, "map[string]json.RawMessage");
    const bag = asBag(message);
    const members = new Map<string, JsonMember>(node.members.map((member) => [member.name, member]));
    for (const field of planOf(desc).fields) {
      const member = members.get(field.jsonName) ?? members.get(field.name);
      if (member === undefined || member.value.t === "null") continue;
      try {
        setField(bag, field, this.#field(field.desc, member.value));
      } catch (error) {
        throw within(error, member.name);
      }
    }
    return message;
  }

  #field(field: DescField, node: JsonNode): unknown {
    switch (field.fieldKind) {
      case "message":
        return this.message(field.message, node);
      case "enum":
        return this.#enum(field.enum, node);
      case "scalar":
        return this.#scalar(field.scalar, node);
      case "list":
        return this.#list(field, node);
      case "map":
        throw new JsonInputError(`${field.name}: maps are not part of etcd's API`);
    }
  }

  #list(field: DescField & { fieldKind: "list" }, node: JsonNode): unknown[] {
    if (node.t !== "array") throw mismatch(node, "[]json.RawMessage");
    return node.items.map((item, index) => {
      try {
        return this.#item(field, item);
      } catch (error) {
        throw within(error, index);
      }
    });
  }

  #item(field: DescField & { fieldKind: "list" }, item: JsonNode): unknown {
    switch (field.listKind) {
      case "message":
        if (item.t === "null") throw mismatch(item, goTypeName(field.message.typeName));
        return this.message(field.message, item);
      case "enum":
        return item.t === "null" ? 0 : this.#enum(field.enum, item);
      case "scalar":
        return item.t === "null" ? zeroOf(field.scalar) : this.#scalar(field.scalar, item);
      default:
        return field satisfies never;
    }
  }

  #enum(desc: DescEnum, node: JsonNode): number {
    if (node.t !== "string") return Number(this.#integer(node, enumKind(desc)));
    // Go compares the raw text: an escaped name is unknown even where its content is a name.
    const name = rawText(this.#bytes, { at: node.at + 1, end: node.end - 1 });
    const value = desc.values.find((candidate) => candidate.name === name);
    if (value !== undefined) return value.number;
    throw new JsonInputError(
      this.#options.wording === "plain"
        ? `unknown value ${goQuote(name)} for enum ${goTypeName(desc.typeName)}`
        : `unknown value ${goQuote(`"${name}"`)} for enum ${desc.typeName}`,
    );
  }

  #scalar(type: ScalarType, node: JsonNode): unknown {
    switch (type) {
      case ScalarType.BYTES:
        return this.#byteString(node);
      case ScalarType.STRING:
        if (node.t !== "string") throw mismatch(node, "string");
        return stringContent(this.#bytes, node);
      case ScalarType.BOOL:
        if (node.t !== "bool") throw mismatch(node, "bool");
        return this.#bytes[node.at] === 0x74;
      case ScalarType.INT64:
        return this.#quotedInteger(node, int64Kind);
      case ScalarType.UINT64:
        return this.#quotedInteger(node, uint64Kind);
      case ScalarType.UINT32:
        return Number(this.#quotedInteger(node, uint32Kind));
      default:
        throw new JsonInputError(`scalar type ${ScalarType[type]} is not part of etcd's API`);
    }
  }

  #byteString(node: JsonNode): Uint8Array {
    if (this.#options.bytes === "utf8") {
      const bytes = readTextBytes(this.#bytes, node);
      if (bytes === undefined) throw mismatch(node, "[]uint8");
      return bytes;
    }
    // encoding/json fills a []byte from an array of numbers, too.
    if (node.t === "array") {
      return Uint8Array.from(node.items, (item) =>
        item.t === "null" ? 0 : Number(this.#integer(item, uint8Kind)),
      );
    }
    if (node.t !== "string") throw mismatch(node, "[]uint8");
    const result = decodeBase64(stringContent(this.#bytes, node), { alphabet: "standard", padded: true });
    if (result.t === "corrupt") throw new JsonInputError(`illegal base64 data at input byte ${result.at}`);
    return result.bytes;
  }

  /** jsonpb cuts the quotes off a number and reads what is left as JSON of its own. */
  #quotedInteger(node: JsonNode, kind: IntegerKind): bigint {
    if (node.t !== "string") return this.#integer(node, kind);
    const inner = this.#bytes.subarray(node.at + 1, node.end - 1);
    const scanner = new JsonScanner();
    let result = scanner.scan(inner);
    if (result.t === "more") result = scanner.finish();
    if (result.t === "more" || (result.t === "error" && result.message === "unexpected EOF")) {
      throw new JsonInputError("unexpected end of JSON input");
    }
    if (result.t === "error") throw new JsonInputError(result.message);
    const rest = inner.subarray(result.end);
    const strange = rest.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d);
    if (strange !== undefined) {
      throw new JsonInputError(`invalid character '${String.fromCharCode(strange)}' after top-level value`);
    }
    const document = parseJson(inner.subarray(result.start, result.end));
    if (document.root.t === "null") return 0n;
    return new V1Decoder(document.bytes, this.#options).#integer(document.root, kind);
  }

  #integer(node: JsonNode, kind: IntegerKind): bigint {
    if (node.t !== "number") throw mismatch(node, kind.goType);
    const text = rawText(this.#bytes, node);
    const value =
      /^-?\d+$/.test(text) && !(kind.min === 0n && text.startsWith("-")) ? BigInt(text) : undefined;
    if (value === undefined || value < kind.min || value > kind.max) {
      throw new JsonInputError(`json: cannot unmarshal number ${text} into Go value of type ${kind.goType}`);
    }
    return value;
  }
}

interface IntegerKind {
  readonly goType: string;
  readonly min: bigint;
  readonly max: bigint;
}

const int64Kind: IntegerKind = { goType: "int64", min: -(1n << 63n), max: (1n << 63n) - 1n };
const uint64Kind: IntegerKind = { goType: "uint64", min: 0n, max: (1n << 64n) - 1n };
const uint32Kind: IntegerKind = { goType: "uint32", min: 0n, max: (1n << 32n) - 1n };
const uint8Kind: IntegerKind = { goType: "uint8", min: 0n, max: 255n };

function enumKind(desc: DescEnum): IntegerKind {
  return { goType: goTypeName(desc.typeName), min: -(1n << 31n), max: (1n << 31n) - 1n };
}

function zeroOf(type: ScalarType): unknown {
  switch (type) {
    case ScalarType.STRING:
      return "";
    case ScalarType.BYTES:
      return new Uint8Array();
    case ScalarType.BOOL:
      return false;
    case ScalarType.UINT32:
      return 0;
    default:
      return 0n;
  }
}

/** `etcdserverpb.RangeRequest.SortOrder` is `etcdserverpb.RangeRequest_SortOrder` in Go. */
function goTypeName(typeName: string): string {
  const dot = typeName.indexOf(".");
  return typeName.slice(0, dot + 1) + typeName.slice(dot + 1).replaceAll(".", "_");
}

function mismatch(node: JsonNode, goType: string): JsonInputError {
  return new JsonInputError(`json: cannot unmarshal ${goKinds[node.t]} into Go value of type ${goType}`);
}
