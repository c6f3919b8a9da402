import { createHeaderField, HeaderKind, isFieldValue } from "../hpack/header-field.ts";

/**
 * Metadata as it travels: name, value, name, value, in order, names in lower case, duplicates kept, `-bin` values as
 * their raw base64 text. Never contains pseudo-headers, `te`, `content-type`, or the `grpc-` fields that this
 * library speaks itself (timeout, status, message, encodings).
 */
export type RawMetadata = readonly string[];

/** No metadata. */
export const NO_METADATA: RawMetadata = [];

/** First value of a name in lower case. */
export function metadataValue(metadata: RawMetadata, name: string): string | undefined {
  for (let i = 0; i < metadata.length; i += 2) {
    if (metadata[i] === name) return metadata[i + 1];
  }
  return undefined;
}

/** Names seen to be sendable; bounded, since callers may make names up. */
const sendableNames = new Set<string>();
const MAX_REMEMBERED_NAMES = 256;

/**
 * Checks metadata that is about to be sent.
 *
 * @throws TypeError for an odd number of strings, a name HTTP/2 or this library reserves, or a value that HTTP/2
 *   cannot carry (gRPC wants visible ASCII, and base64 under a `-bin` name for all else).
 */
export function checkMetadata(metadata: RawMetadata): void {
  if (metadata.length % 2 !== 0) throw new TypeError("metadata must be pairs of name and value");
  for (let i = 0; i < metadata.length; i += 2) {
    const name = metadata[i] as string;
    if (!sendableNames.has(name)) checkName(name);
    if (!isSendableValue(metadata[i + 1] as string))
      throw new TypeError(`metadata value of ${name} is not sendable`);
  }
}

function checkName(name: string): void {
  const field = createHeaderField(name, "");
  if (!field.valid || field.kind !== HeaderKind.metadata) {
    throw new TypeError(`metadata name ${JSON.stringify(name)} is invalid or reserved`);
  }
  if (sendableNames.size < MAX_REMEMBERED_NAMES) sendableNames.add(name);
}

/** Characters of one byte that HTTP/2 allows: whatever was received can be sent on. */
function isSendableValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    if (value.charCodeAt(i) > 0xff) return false;
  }
  return isFieldValue(value);
}
