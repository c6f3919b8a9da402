import { Buffer } from "node:buffer";

/** Percent-encodes a status message for `grpc-message`: everything but printable ASCII, and `%` itself. */
export function encodeStatusMessage(message: string): string {
  if (/^[\x20-\x24\x26-\x7e]*$/.test(message)) return protectEnds(message);
  let text = "";
  for (const byte of Buffer.from(message, "utf8")) {
    text += byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? String.fromCharCode(byte) : percent(byte);
  }
  return protectEnds(text);
}

/** Decodes `grpc-message`. What is not a valid escape is kept as it stands: a message is never a reason to fail. */
export function decodeStatusMessage(text: string): string {
  if (!text.includes("%")) return text;
  const bytes = Buffer.allocUnsafe(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const digits = text.charCodeAt(i) === 0x25 ? text.slice(i + 1, i + 3) : "";
    if (/^[0-9a-fA-F]{2}$/.test(digits)) {
      bytes[length++] = Number.parseInt(digits, 16);
      i += 2;
    } else {
      bytes[length++] = text.charCodeAt(i);
    }
  }
  return bytes.toString("utf8", 0, length);
}

/** A field value must not begin or end with a blank (RFC 9113, 8.2.1), a message may. */
function protectEnds(text: string): string {
  return text.replace(/^ | $/g, percent(0x20));
}

function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}
