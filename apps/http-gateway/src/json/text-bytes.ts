import { isUtf8 } from "node:buffer";
import { decodeBase64 } from "./base64.ts";
import { JsonInputError } from "./json-input-error.ts";
import { type JsonNode, stringContent } from "./json-node.ts";
import { base64Member } from "./json-style.ts";

/**
 * Bytes of a field where bytes are text (see `BytesStyle`): of a string its UTF-8, of `{"base64":"…"}` what it holds.
 * Nothing for any other value.
 * @throws JsonInputError for what is neither UTF-8 nor base64
 */
export function readTextBytes(bytes: Buffer, node: JsonNode): Uint8Array | undefined {
  if (node.t === "string") {
    // What would be read as U+FFFD is another key than the one that was meant.
    if (!isUtf8(bytes.subarray(node.at, node.end))) throw new JsonInputError("invalid UTF-8 in string");
    return Buffer.from(stringContent(bytes, node));
  }
  const [member, ...others] = node.t === "object" ? node.members : [];
  if (member?.name !== base64Member || member.value.t !== "string" || others.length > 0) return undefined;
  const text = stringContent(bytes, member.value);
  const alphabet = /[-_]/.test(text) ? "url" : "standard";
  const result = decodeBase64(text, { alphabet, padded: text.length % 4 === 0 });
  if (result.t === "bytes") return result.bytes;
  throw new JsonInputError(`illegal base64 data at input byte ${result.at}`).within(base64Member);
}
