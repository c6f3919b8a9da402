/** Entries of other versions are none to us (rule 37). */
const formatVersion = 1;

/** An answer as it is kept in a shared store: the version of the format, then what follows the header of a RangeResponse. */
export function encodeStoreEntry(body: Uint8Array): Uint8Array {
  const entry = new Uint8Array(1 + body.length);
  entry[0] = formatVersion;
  entry.set(body, 1);
  return entry;
}

/** @returns nothing for an entry of another format */
export function decodeStoreEntry(entry: Uint8Array): Uint8Array | undefined {
  return entry[0] === formatVersion ? entry.subarray(1) : undefined;
}
