/** Values on a command line as Go's `strconv` and `encoding/csv` read them, with their error texts. */

const trueWords: ReadonlySet<string> = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const falseWords: ReadonlySet<string> = new Set(["0", "f", "F", "FALSE", "false", "False"]);

/** @throws Error with the sentence of `strconv.ParseBool` */
export function parseGoBool(text: string): boolean {
  if (trueWords.has(text)) return true;
  if (falseWords.has(text)) return false;
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** What an integer option holds: its Go function (for error texts) and its bounds. */
export interface IntegerKind {
  readonly parser: "ParseInt" | "ParseUint";
  readonly min: bigint;
  readonly max: bigint;
}

export const intKind: IntegerKind = { parser: "ParseInt", min: -(1n << 63n), max: (1n << 63n) - 1n };
export const uintKind: IntegerKind = { parser: "ParseUint", min: 0n, max: (1n << 64n) - 1n };
export const uint32Kind: IntegerKind = { parser: "ParseUint", min: 0n, max: (1n << 32n) - 1n };

const literal = /^(?:0[xX](?:_?[\da-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?\d)*)$/;

/**
 * Reads an integer in base 0: decimal, `0x`, `0b`, `0o` and a leading `0`, underscores between digits.
 * @returns a number; JavaScript holds only 53 bits of it exactly, so what lies past that is out of range
 * @throws Error with the sentence of `strconv.ParseInt` or `strconv.ParseUint`
 */
export function parseGoInteger(text: string, kind: IntegerKind): number {
  const fail = (why: string): Error =>
    new Error(`strconv.${kind.parser}: parsing ${JSON.stringify(text)}: ${why}`);
  const signed = kind.parser === "ParseInt" ? /^([+-]?)(.*)$/s.exec(text) : ["", "", text];
  const digits = signed?.[2] ?? "";
  if (!literal.test(digits)) throw fail("invalid syntax");
  const plain = digits.replaceAll("_", "");
  const magnitude = BigInt(/^0\d/.test(plain) ? `0o${plain.slice(1)}` : plain);
  const value = signed?.[1] === "-" ? -magnitude : magnitude;
  const safe = BigInt(Number.MAX_SAFE_INTEGER);
  if (value < kind.min || value > kind.max || value > safe || value < -safe) throw fail("value out of range");
  return Number(value);
}

/**
 * Splits one value of a list option as pflag's `StringSlice` does: one line of CSV (RFC 4180), so that a comma may
 * stand inside double quotes. The empty text is the empty list.
 * @throws Error with the sentence of Go's `encoding/csv`
 */
export function parseGoList(text: string): string[] {
  if (text === "") return [];
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    const field = text[at] === '"' ? readQuoted(text, at) : readBare(text, at);
    fields.push(field.value);
    if (field.end >= text.length) return fields;
    at = field.end + 1; // past the comma
  }
}

function readBare(text: string, start: number): { value: string; end: number } {
  const comma = text.indexOf(",", start);
  const end = comma === -1 ? text.length : comma;
  const value = text.slice(start, end);
  const quote = value.indexOf('"');
  if (quote !== -1) throw csvError(start + quote + 1, 'bare " in non-quoted field');
  return { value, end };
}

function readQuoted(text: string, start: number): { value: string; end: number } {
  let value = "";
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote === -1) throw csvError(text.length + 1, 'extraneous or missing " in quoted-field');
    value += text.slice(at, quote);
    const next = text[quote + 1];
    if (next === undefined || next === ",") return { value, end: quote + 1 };
    if (next !== '"') throw csvError(quote + 1, 'extraneous or missing " in quoted-field');
    value += '"';
    at = quote + 2;
  }
}

function csvError(column: number, why: string): Error {
  return new Error(`parse error on line 1, column ${column}: ${why}`);
}
