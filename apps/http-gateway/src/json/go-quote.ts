/** Texts as Go's `strconv` and `encoding/json` write them, where clients see them in error messages and bodies. */

const named: Readonly<Record<number, string>> = {
  7: "\\a",
  8: "\\b",
  9: "\\t",
  10: "\\n",
  11: "\\v",
  12: "\\f",
  13: "\\r",
};

/**
 * One byte in single quotes, as `encoding/json` names the character it did not expect. The byte is read as a code
 * point, so that 0xEF shows as `'ï'`.
 */
export function goQuoteByte(byte: number): string {
  if (byte === 0x27) return "'\\''";
  if (byte === 0x22) return "'\"'";
  return `'${escapeRune(byte)}'`;
}

/** A text in double quotes as `%q` prints it. */
export function goQuote(text: string): string {
  let out = "";
  for (const char of text) out += char === '"' ? '\\"' : escapeRune(char.codePointAt(0) ?? 0);
  return `"${out}"`;
}

function escapeRune(rune: number): string {
  if (rune === 0x5c) return "\\\\";
  const short = named[rune];
  if (short !== undefined) return short;
  if (rune < 0x20 || rune === 0x7f) return `\\x${rune.toString(16).padStart(2, "0")}`;
  // C1 controls, no-break space and soft hyphen are not printable to Go.
  if ((rune >= 0x80 && rune <= 0xa0) || rune === 0xad) return `\\u${rune.toString(16).padStart(4, "0")}`;
  return String.fromCodePoint(rune);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to be escaped
const needsEscape = /[\u0000-\u001f"\\]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const escaped = /[\u0000-\u001f"\\]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const needsHtmlEscape = /[\u0000-\u001f"\\<>&\u2028\u2029]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const htmlEscaped = /[\u0000-\u001f"\\<>&\u2028\u2029]/g;

const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

function longEscape(char: string): string {
  return shortEscapes[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** A JSON string as `encoding/json` writes it: safe inside HTML. */
export function quoteJsonForHtml(text: string): string {
  return needsHtmlEscape.test(text) ? `"${text.replace(htmlEscaped, longEscape)}"` : `"${text}"`;
}

/** A JSON string as protojson writes it: nothing escaped that JSON allows, and short escapes for `\b` and `\f`. */
export function quoteJson(text: string): string {
  if (!needsEscape.test(text)) return `"${text}"`;
  const escapeChar = (char: string): string =>
    char === "\b" ? "\\b" : char === "\f" ? "\\f" : longEscape(char);
  return `"${text.replace(escaped, escapeChar)}"`;
}
