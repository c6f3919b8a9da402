/**
 * The end of the range of all keys that begin with a prefix, as etcd's clients make it: `"\0"`, which means no end at all,
 * where nothing but 0xff bytes is left of it.
 */
export function endOfPrefix(prefix: Uint8Array): Uint8Array {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const byte = prefix[i];
    if (byte === undefined || byte === 0xff) continue;
    const end = Uint8Array.from(prefix.subarray(0, i + 1)); // a copy: slice of a Buffer is a view
    end[i] = byte + 1;
    return end;
  }
  return Uint8Array.of(0);
}
