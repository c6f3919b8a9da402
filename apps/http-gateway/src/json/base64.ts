/** What decoding came to: the bytes, or the offset that Go's `base64.CorruptInputError` names. */
export type Base64Result =
  | { readonly t: "bytes"; readonly bytes: Uint8Array }
  | { readonly t: "corrupt"; readonly at: number };

/** Which alphabet is read and whether `=` must fill the last quantum. */
export interface Base64Encoding {
  readonly alphabet: "standard" | "url";
  readonly padded: boolean;
}

const plainStandard = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * Decodes base64 with the leniency of Go's `encoding/base64`: line breaks are skipped, bits left over in the last
 * quantum are ignored, everything else is strict (RFC 4648 §3).
 */
export function decodeBase64(text: string, encoding: Base64Encoding): Base64Result {
  // The common case, at the speed of Node's own decoder, which is too lenient to be asked about anything else.
  if (
    encoding.padded &&
    encoding.alphabet === "standard" &&
    text.length % 4 === 0 &&
    plainStandard.test(text)
  ) {
    return { t: "bytes", bytes: Buffer.from(text, "base64") };
  }
  return decodeQuanta(text, encoding);
}

function decodeQuanta(text: string, { alphabet, padded }: Base64Encoding): Base64Result {
  const out: number[] = [];
  let at = 0;
  const skipBreaks = (): void => {
    while (text[at] === "\n" || text[at] === "\r") at++;
  };
  for (;;) {
    let bits = 0;
    let digits = 0;
    let last = false;
    while (digits < 4 && !last) {
      skipBreaks();
      if (at === text.length) {
        if (digits === 0) return { t: "bytes", bytes: Uint8Array.from(out) };
        if (digits === 1 || padded) return { t: "corrupt", at: at - digits };
        last = true;
      } else {
        const value = digitOf(text.charCodeAt(at), alphabet);
        if (value !== undefined) {
          bits = (bits << 6) | value;
          digits++;
          at++;
        } else {
          const problem = readPadding(digits);
          if (problem !== undefined) return { t: "corrupt", at: problem };
          last = true;
        }
      }
    }
    bits <<= 6 * (4 - digits);
    for (let i = 0; i < digits - 1; i++) out.push((bits >> (16 - 8 * i)) & 0xff);
    if (last) return { t: "bytes", bytes: Uint8Array.from(out) };
  }

  /** Reads `=` or `==` and the end behind it; answers the offset of what is wrong. */
  function readPadding(digits: number): number | undefined {
    if (!padded || text[at] !== "=" || digits < 2) return at;
    at++;
    if (digits === 2) {
      skipBreaks();
      if (at === text.length) return at;
      if (text[at] !== "=") return at - 1;
      at++;
    }
    skipBreaks();
    return at < text.length ? at : undefined;
  }
}

function digitOf(code: number, alphabet: "standard" | "url"): number | undefined {
  if (code >= 0x41 && code <= 0x5a) return code - 0x41;
  if (code >= 0x61 && code <= 0x7a) return code - 0x61 + 26;
  if (code >= 0x30 && code <= 0x39) return code - 0x30 + 52;
  if (code === (alphabet === "standard" ? 0x2b : 0x2d)) return 62;
  if (code === (alphabet === "standard" ? 0x2f : 0x5f)) return 63;
  return undefined;
}
