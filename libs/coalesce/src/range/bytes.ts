/**
 * Orders byte strings as etcd orders keys: byte by byte, the shorter of two equal beginnings first.
 * @returns below 0, 0 or above 0
 */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** The byte string right after `key` in etcd's order: `key` and a zero byte. */
export function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

/** Each byte as the letter of that code: equal for equal bytes, so that byte strings can be keys of maps. */
export function toLatin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** An array of exactly these bytes, which keeps nothing else alive. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}

/** Both in one; the second itself where the first is empty. */
export function concatBytes(head: Uint8Array, body: Uint8Array): Uint8Array {
  if (head.length === 0) return body;
  const whole = new Uint8Array(head.length + body.length);
  whole.set(head);
  whole.set(body, head.length);
  return whole;
}
