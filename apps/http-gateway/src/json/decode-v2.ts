import { isUtf8 } from "node:buffer";
import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { decodeBase64 } from "./base64.ts";
import { JsonInputError, within } from "./json-input-error.ts";
import { type JsonDocument, type JsonMember, type JsonNode, rawText, stringContent } from "./json-node.ts";
import type { BytesStyle } from "./json-style.ts";
import { asBag, type FieldPlan, planOf, setField } from "./message-plan.ts";
import { readTextBytes } from "./text-bytes.ts";

/**
 * Reads a message as Go's protojson does with unknown fields passed over (etcd 3.6 and later). Errors point at line
 * and column of the value. A key that stands twice is refused, an enum name nobody knows leaves the field unset,
 * integers may be written `1.0` or `1e2`, base64 may be of either alphabet, with or without padding.
 *
 * Go puts a space or a no-break space behind `proto:`, differently from build to build so that nobody relies on
 * it; here it is a space.
 *
 * @throws JsonInputError with protojson's text
 */
export function decodeV2(desc: DescMessage, document: JsonDocument, bytes: BytesStyle): Message {
  const decoder = new V2Decoder(document.bytes, bytes);
  if (!isUtf8(document.bytes)) decoder.refuseBadUtf8(document.root);
  return decoder.message(desc, document.root);
}

class V2Decoder {
  readonly #bytes: Buffer;
  readonly #style: BytesStyle;

  constructor(bytes: Buffer, style: BytesStyle) {
    this.#bytes = bytes;
    this.#style = style;
  }

  message(desc: DescMessage, node: JsonNode): Message {
    if (node.t !== "object") throw this.#unexpected(node);
    const plan = planOf(desc);
    const message = create(desc);
    const bag = asBag(message);
    const seenFields = new Set<number>();
    const seenOneofs = new Set<string>();
    for (const member of node.members) {
      const field = plan.byName.get(member.name);
      if (field === undefined) continue;
      try {
        if (seenFields.has(field.desc.number)) throw this.#duplicate(member);
        seenFields.add(field.desc.number);
        if (member.value.t === "null") continue;
        if (field.oneof !== undefined) {
          if (seenOneofs.has(field.oneof)) throw this.#alreadySet(desc, field, member);
          seenOneofs.add(field.oneof);
        }
        const value = this.#field(field.desc, member.value);
        if (value !== undefined) setField(bag, field, value);
      } catch (error) {
        throw within(error, member.name);
      }
    }
    return message;
  }

  #duplicate({ nameAt, nameEnd }: JsonMember): JsonInputError {
    return this.#error(nameAt, `duplicate field ${rawText(this.#bytes, { at: nameAt, end: nameEnd })}`);
  }

  #alreadySet(desc: DescMessage, field: FieldPlan, { nameAt, nameEnd }: JsonMember): JsonInputError {
    const name = `${desc.typeName}.${field.desc.oneof?.name ?? ""}`;
    const raw = rawText(this.#bytes, { at: nameAt, end: nameEnd });
    return this.#error(nameAt, `error parsing ${raw}, oneof ${name} is already set`);
  }

  /** Throws for the first string that is not UTF-8, in the order of the text. */
  refuseBadUtf8(node: JsonNode): void {
    switch (node.t) {
      case "object":
        for (const member of node.members) {
          this.#checkUtf8(member.nameAt, member.nameEnd);
          this.refuseBadUtf8(member.value);
        }
        return;
      case "array":
        for (const item of node.items) this.refuseBadUtf8(item);
        return;
      case "string":
        this.#checkUtf8(node.at, node.end);
        return;
      default:
        return;
    }
  }

  #checkUtf8(at: number, end: number): void {
    if (!isUtf8(this.#bytes.subarray(at, end))) throw this.#syntaxError(at, "invalid UTF-8 in string");
  }

  /** Nothing where the value is an enum name that the schema does not know. */
  #field(field: DescField, node: JsonNode): unknown {
    switch (field.fieldKind) {
      case "message":
        return this.message(field.message, node);
      case "enum":
        return this.#enum(field, field.enum, node);
      case "scalar":
        return this.#scalar(field, field.scalar, node);
      case "list":
        return this.#list(field, node);
      case "map":
        throw this.#error(node.at, "maps are not part of etcd's API");
    }
  }

  #list(field: DescField & { fieldKind: "list" }, node: JsonNode): unknown[] {
    if (node.t !== "array") throw this.#unexpected(node);
    const values = node.items.map((item, index) => {
      try {
        return this.#item(field, item);
      } catch (error) {
        throw within(error, index);
      }
    });
    return values.filter((value) => value !== undefined);
  }

  #item(field: DescField & { fieldKind: "list" }, item: JsonNode): unknown {
    switch (field.listKind) {
      case "message":
        return this.message(field.message, item);
      case "enum":
        return this.#enum(field, field.enum, item);
      case "scalar":
        return this.#scalar(field, field.scalar, item);
      default:
        return field satisfies never;
    }
  }

  #enum(field: DescField, desc: DescEnum, node: JsonNode): number | undefined {
    if (node.t === "string") {
      const name = stringContent(this.#bytes, node);
      return desc.values.find((candidate) => candidate.name === name)?.number;
    }
    const value = node.t === "number" ? toInteger(rawText(this.#bytes, node)) : undefined;
    if (value === undefined || value < -(1n << 31n) || value >= 1n << 31n)
      throw this.#invalid("enum", field, node);
    return Number(value);
  }

  #scalar(field: DescField, type: ScalarType, node: JsonNode): unknown {
    switch (type) {
      case ScalarType.BYTES:
        return this.#byteString(field, node);
      case ScalarType.STRING:
        if (node.t !== "string") throw this.#invalid("string", field, node);
        return stringContent(this.#bytes, node);
      case ScalarType.BOOL:
        if (node.t !== "bool") throw this.#invalid("bool", field, node);
        return this.#bytes[node.at] === 0x74;
      case ScalarType.INT64:
        return this.#integer("int64", field, node, -(1n << 63n), (1n << 63n) - 1n);
      case ScalarType.UINT64:
        return this.#integer("uint64", field, node, 0n, (1n << 64n) - 1n);
      case ScalarType.UINT32:
        return Number(this.#integer("uint32", field, node, 0n, (1n << 32n) - 1n));
      default:
        throw this.#error(node.at, `scalar type ${ScalarType[type]} is not part of etcd's API`);
    }
  }

  #byteString(field: DescField, node: JsonNode): Uint8Array {
    if (this.#style === "utf8") {
      const bytes = readTextBytes(this.#bytes, node);
      if (bytes === undefined) throw this.#invalid("bytes", field, node);
      return bytes;
    }
    if (node.t !== "string") throw this.#invalid("bytes", field, node);
    const text = stringContent(this.#bytes, node);
    const alphabet = /[-_]/.test(text) ? "url" : "standard";
    // Length counts line breaks, too: a broken line is read as unpadded, as in Go.
    const result = decodeBase64(text, { alphabet, padded: text.length % 4 === 0 });
    if (result.t === "corrupt") throw this.#invalid("bytes", field, node);
    return result.bytes;
  }

  #integer(kind: string, field: DescField, node: JsonNode, min: bigint, max: bigint): bigint {
    let text: string | undefined;
    if (node.t === "number") text = rawText(this.#bytes, node);
    else if (node.t === "string") text = stringContent(this.#bytes, node);
    const value = text === undefined ? undefined : toInteger(text);
    if (value === undefined || value < min || value > max) throw this.#invalid(kind, field, node);
    return value;
  }

  #invalid(kind: string, field: DescField, node: JsonNode): JsonInputError {
    return this.#error(node.at, `invalid value for ${kind} field ${field.jsonName}: ${this.#token(node)}`);
  }

  #unexpected(node: JsonNode): JsonInputError {
    return this.#syntaxError(node.at, `unexpected token ${this.#token(node)}`);
  }

  /** What Go's lexer would have read: of an object or a list only the bracket. */
  #token(node: JsonNode): string {
    if (node.t === "object") return "{";
    return node.t === "array" ? "[" : rawText(this.#bytes, node);
  }

  #error(at: number, text: string): JsonInputError {
    return new JsonInputError(`proto: ${this.#position(at)}: ${text}`);
  }

  #syntaxError(at: number, text: string): JsonInputError {
    return new JsonInputError(`proto: syntax error ${this.#position(at)}: ${text}`);
  }

  #position(at: number): string {
    const before = this.#bytes.subarray(0, at);
    const lineStart = before.lastIndexOf(0x0a) + 1;
    let line = 1;
    for (const byte of before) if (byte === 0x0a) line++;
    const column = [...before.toString("utf8", lineStart)].length + 1;
    return `(line ${line}:${column})`;
  }
}

const numberText = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;
/** Longest power of ten worth following: 2^64 has 20 digits. */
const maxShift = 40;

/** A JSON number as an integer, or nothing where it has a fraction or is far out of range. */
function toInteger(text: string): bigint | undefined {
  const match = numberText.exec(text);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const digits = (whole + fraction).replace(/^0+(?=\d)/, "");
  if (digits === "0") return 0n;
  const shift = Number(exponent) - fraction.length;
  if (shift > maxShift) return undefined;
  if (shift >= 0) return BigInt(`${sign}${digits}`) * 10n ** BigInt(shift);
  const kept = digits.slice(0, shift);
  if (/[^0]/.test(digits.slice(shift)) || kept === "") return undefined;
  return BigInt(`${sign}${kept}`);
}
