import { goQuoteByte } from "./go-quote.ts";

/** What a value may be made of: a small body can take much more memory than it is long. */
export interface JsonLimits {
  /** Deepest nesting that is read. */
  readonly maxDepth: number;
  /** Values in it, of objects, lists and by themselves. */
  readonly maxValues: number;
}

/** Go stops at a depth of 10,000; no etcd message needs a tenth of ours. A Txn as large as etcd takes has 128 operations. */
export const defaultJsonLimits: JsonLimits = { maxDepth: 1_000, maxValues: 100_000 };

/** How a scan ended. Offsets count from the first byte of the buffer that was scanned. */
export type ScanResult =
  /** A whole value stands at [start, end). */
  | { readonly t: "value"; readonly start: number; readonly end: number }
  /** The bytes end inside a value, or hold nothing but white space. */
  | { readonly t: "more" }
  /** The message is that of Go's `encoding/json`, which both generations of etcd's JSON door answer with. */
  | { readonly t: "error"; readonly message: string };

type State =
  | "value"
  | "firstElement"
  | "firstKey"
  | "key"
  | "colon"
  | "afterKeyValue"
  | "afterElement"
  | "string"
  | "escape"
  | "unicode"
  | "literal"
  | "minus"
  | "zero"
  | "digits"
  | "point"
  | "fraction"
  | "exponent"
  | "exponentSign"
  | "exponentDigits";

const literals: Readonly<Record<number, string>> = { 116: "true", 102: "false", 110: "null" };

/**
 * Finds the end of one JSON value in a buffer that grows, and checks its syntax on the way. It is resumable: after
 * `more`, call again with the same bytes and more behind them; what was read is not read again. One scanner is for
 * one value.
 *
 * Objects, arrays and strings end at their closing character, so that a peer who waits for an answer before
 * sending more gets it; a number ends at the byte behind it or at the end of input.
 */
export class JsonScanner {
  #state: State = "value";
  /** Open containers: "{" or "[". */
  readonly #open: ("{" | "[")[] = [];
  #at = 0;
  #start = -1;
  #stringIsKey = false;
  #literal = "";
  #literalAt = 0;
  #unicodeLeft = 0;
  #values = 0;
  readonly #limits: JsonLimits;

  constructor(limits: JsonLimits = defaultJsonLimits) {
    this.#limits = limits;
  }

  /** True while nothing but white space was read. */
  get isBlank(): boolean {
    return this.#start === -1;
  }

  scan(bytes: Uint8Array): ScanResult {
    while (this.#at < bytes.length) {
      if (this.#state === "string" && this.#skipPlain(bytes)) return { t: "more" };
      const byte = bytes[this.#at] ?? 0;
      const result = this.#step(byte);
      if (result !== undefined) return result;
      this.#at++;
    }
    return { t: "more" };
  }

  /** What the value is if no byte follows. */
  finish(): ScanResult {
    if (this.isBlank) return { t: "more" };
    const isNumber =
      this.#state === "zero" ||
      this.#state === "digits" ||
      this.#state === "fraction" ||
      this.#state === "exponentDigits";
    if (isNumber && this.#open.length === 0) return { t: "value", start: this.#start, end: this.#at };
    return { t: "error", message: "unexpected EOF" };
  }

  /** Runs over the plain part of a string; true when the bytes ended in it. */
  #skipPlain(bytes: Uint8Array): boolean {
    let at = this.#at;
    const end = bytes.length;
    for (; at < end; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === 0x22 || byte === 0x5c || byte < 0x20) break;
    }
    this.#at = at;
    return at === end;
  }

  #step(byte: number): ScanResult | undefined {
    switch (this.#state) {
      case "value":
        return isSpace(byte) ? undefined : this.#beginValue(byte);
      case "firstElement":
        if (isSpace(byte)) return undefined;
        if (byte === 0x5d) return this.#close();
        return this.#beginValue(byte);
      case "firstKey":
        if (isSpace(byte)) return undefined;
        if (byte === 0x7d) return this.#close();
        return this.#beginKey(byte);
      case "key":
        return isSpace(byte) ? undefined : this.#beginKey(byte);
      case "colon":
        if (isSpace(byte)) return undefined;
        if (byte !== 0x3a) return unexpected(byte, "after object key");
        this.#state = "value";
        return undefined;
      case "afterKeyValue":
        if (isSpace(byte)) return undefined;
        if (byte === 0x2c) this.#state = "key";
        else if (byte === 0x7d) return this.#close();
        else return unexpected(byte, "after object key:value pair");
        return undefined;
      case "afterElement":
        if (isSpace(byte)) return undefined;
        if (byte === 0x2c) this.#state = "value";
        else if (byte === 0x5d) return this.#close();
        else return unexpected(byte, "after array element");
        return undefined;
      case "string":
        if (byte === 0x22) return this.#endString();
        if (byte === 0x5c) this.#state = "escape";
        else return unexpected(byte, "in string literal");
        return undefined;
      case "escape":
        if (byte === 0x75) {
          this.#state = "unicode";
          this.#unicodeLeft = 4;
        } else if (isShortEscape(byte)) this.#state = "string";
        else return unexpected(byte, "in string escape code");
        return undefined;
      case "unicode":
        if (!isHexDigit(byte)) return unexpected(byte, "in \\u hexadecimal character escape");
        if (--this.#unicodeLeft === 0) this.#state = "string";
        return undefined;
      case "literal":
        return this.#stepLiteral(byte);
      default:
        return this.#stepNumber(this.#state, byte);
    }
  }

  #beginValue(byte: number): ScanResult | undefined {
    if (this.#start === -1) this.#start = this.#at;
    if (++this.#values > this.#limits.maxValues) {
      return { t: "error", message: `more than ${this.#limits.maxValues} values` };
    }
    if (byte === 0x7b || byte === 0x5b) {
      if (this.#open.length >= this.#limits.maxDepth) return { t: "error", message: "exceeded max depth" };
      this.#open.push(byte === 0x7b ? "{" : "[");
      this.#state = byte === 0x7b ? "firstKey" : "firstElement";
    } else if (byte === 0x22) {
      this.#state = "string";
      this.#stringIsKey = false;
    } else if (byte === 0x2d) this.#state = "minus";
    else if (byte === 0x30) this.#state = "zero";
    else if (byte > 0x30 && byte <= 0x39) this.#state = "digits";
    else {
      const word = literals[byte];
      if (word === undefined) return unexpected(byte, "looking for beginning of value");
      this.#state = "literal";
      this.#literal = word;
      this.#literalAt = 1;
    }
    return undefined;
  }

  #beginKey(byte: number): ScanResult | undefined {
    if (byte !== 0x22) return unexpected(byte, "looking for beginning of object key string");
    this.#state = "string";
    this.#stringIsKey = true;
    return undefined;
  }

  #endString(): ScanResult | undefined {
    if (!this.#stringIsKey) return this.#endValue(this.#at + 1);
    this.#state = "colon";
    return undefined;
  }

  #stepLiteral(byte: number): ScanResult | undefined {
    const expected = this.#literal.charCodeAt(this.#literalAt);
    if (byte !== expected) {
      return unexpected(byte, `in literal ${this.#literal} (expecting ${goQuoteByte(expected)})`);
    }
    this.#literalAt++;
    return this.#literalAt === this.#literal.length ? this.#endValue(this.#at + 1) : undefined;
  }

  #stepNumber(state: State, byte: number): ScanResult | undefined {
    const digit = byte >= 0x30 && byte <= 0x39;
    switch (state) {
      case "minus":
        if (!digit) return unexpected(byte, "in numeric literal");
        this.#state = byte === 0x30 ? "zero" : "digits";
        return undefined;
      case "point":
        if (!digit) return unexpected(byte, "after decimal point in numeric literal");
        this.#state = "fraction";
        return undefined;
      case "exponent":
        if (byte === 0x2b || byte === 0x2d) this.#state = "exponentSign";
        else if (digit) this.#state = "exponentDigits";
        else return unexpected(byte, "in exponent of numeric literal");
        return undefined;
      case "exponentSign":
        if (!digit) return unexpected(byte, "in exponent of numeric literal");
        this.#state = "exponentDigits";
        return undefined;
      default: {
        if (digit && state !== "zero") return undefined;
        if (byte === 0x2e && (state === "zero" || state === "digits")) this.#state = "point";
        else if ((byte === 0x65 || byte === 0x45) && state !== "exponentDigits") this.#state = "exponent";
        else return this.#endNumber(byte);
        return undefined;
      }
    }
  }

  /** The byte behind a number belongs to what is around it. */
  #endNumber(byte: number): ScanResult | undefined {
    return this.#endValue(this.#at) ?? this.#step(byte);
  }

  #close(): ScanResult | undefined {
    this.#open.pop();
    return this.#endValue(this.#at + 1);
  }

  #endValue(end: number): ScanResult | undefined {
    const around = this.#open.at(-1);
    if (around === undefined) return { t: "value", start: this.#start, end };
    this.#state = around === "{" ? "afterKeyValue" : "afterElement";
    return undefined;
  }
}

function unexpected(byte: number, where: string): ScanResult {
  return { t: "error", message: `invalid character ${goQuoteByte(byte)} ${where}` };
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

function isShortEscape(byte: number): boolean {
  return '"\\/bfnrt'.includes(String.fromCharCode(byte));
}

function isHexDigit(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}
