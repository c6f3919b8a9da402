/** A JSON value with its place in the text it came from, so that errors can point at it. */
export type JsonNode =
  | {
      readonly t: "object";
      readonly at: number;
      readonly end: number;
      readonly members: readonly JsonMember[];
    }
  | { readonly t: "array"; readonly at: number; readonly end: number; readonly items: readonly JsonNode[] }
  | { readonly t: "string" | "number" | "bool" | "null"; readonly at: number; readonly end: number };

/** One `"name": value` of an object. Doubles are kept: which one counts is the profile's decision. */
export interface JsonMember {
  readonly name: string;
  /** Offsets of the name with its quotes. */
  readonly nameAt: number;
  readonly nameEnd: number;
  readonly value: JsonNode;
}

/** A parsed value and the bytes its offsets point into. */
export interface JsonDocument {
  readonly bytes: Buffer;
  readonly root: JsonNode;
}

/**
 * The document in some bytes; its tree is built when it is first looked at. The bytes are exactly one value that a JsonScanner has
 * accepted; with anything else the result is undefined, but the call ends.
 */
export function parseJson(bytes: Buffer): JsonDocument {
  let root: JsonNode | undefined;
  return {
    bytes,
    get root() {
      root ??= new Parser(bytes).value();
      return root;
    },
  };
}

/** The text of a node as it stands in the document, quotes included. */
export function rawText(bytes: Buffer, node: { readonly at: number; readonly end: number }): string {
  return bytes.toString("utf8", node.at, node.end);
}

/** The content of a string node. Bytes that are not UTF-8 become U+FFFD, as in Go's `encoding/json`. */
export function stringContent(bytes: Buffer, node: { readonly at: number; readonly end: number }): string {
  const from = node.at + 1;
  const to = node.end - 1;
  const text = bytes.toString("utf8", from, to);
  // Looked for in the text: in the bytes, it would be looked for up to the end of the body, once for each string in it.
  return text.includes("\\") ? resolveEscapes(text) : text;
}

const escapes: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

function resolveEscapes(text: string): string {
  const plain = text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, hex: string | undefined, char: string) =>
    hex === undefined ? (escapes[char] ?? char) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
  // Halves of surrogate pairs that stand alone become U+FFFD in Go.
  return plain.toWellFormed();
}

class Parser {
  #at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  value(): JsonNode {
    const first = this.#skipSpace();
    const at = this.#at;
    switch (first) {
      case 0x7b:
        return this.#object(at);
      case 0x5b:
        return this.#array(at);
      case 0x22:
        this.#skipString();
        return { t: "string", at, end: this.#at };
      case 0x74:
      case 0x66:
        this.#at += first === 0x74 ? 4 : 5;
        return { t: "bool", at, end: this.#at };
      case 0x6e:
        this.#at += 4;
        return { t: "null", at, end: this.#at };
      default:
        this.#skipNumber();
        return { t: "number", at, end: this.#at };
    }
  }

  #object(at: number): JsonNode {
    const members: JsonMember[] = [];
    this.#at++;
    while (this.#skipSpace() === 0x22) {
      const nameAt = this.#at;
      this.#skipString();
      const nameEnd = this.#at;
      this.#skipSpace();
      this.#at++; // the colon
      const name = stringContent(this.#bytes, { at: nameAt, end: nameEnd });
      members.push({ name, nameAt, nameEnd, value: this.value() });
      if (this.#skipSpace() === 0x2c) this.#at++;
    }
    this.#at++;
    return { t: "object", at, end: this.#at, members };
  }

  #array(at: number): JsonNode {
    const items: JsonNode[] = [];
    this.#at++;
    while (this.#at < this.#bytes.length && this.#skipSpace() !== 0x5d) {
      items.push(this.value());
      if (this.#skipSpace() === 0x2c) this.#at++;
    }
    this.#at++;
    return { t: "array", at, end: this.#at, items };
  }

  #skipSpace(): number {
    let byte = this.#bytes[this.#at];
    while (byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d) byte = this.#bytes[++this.#at];
    return byte ?? 0;
  }

  #skipString(): void {
    let at = this.#at + 1;
    while (at < this.#bytes.length && this.#bytes[at] !== 0x22) at += this.#bytes[at] === 0x5c ? 2 : 1;
    this.#at = at + 1;
  }

  #skipNumber(): void {
    const start = this.#at;
    while (isNumberByte(this.#bytes[this.#at])) this.#at++;
    // A value is at least one byte: undefined input must not stand still.
    if (this.#at === start) this.#at++;
  }
}

function isNumberByte(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2d ||
    byte === 0x2b ||
    byte === 0x2e ||
    byte === 0x65 ||
    byte === 0x45
  );
}
