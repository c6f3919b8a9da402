/**
 * The varint at `start` as a number; exact up to 2^53, for fields that are small or only compared with zero.
 * The reader has checked that it ends.
 */
export function readNumber(bytes: Uint8Array, start: number): number {
  let value = 0;
  let factor = 1;
  for (let i = start; i < start + 10; i++) {
    const byte = bytes[i] ?? 0;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
    factor *= 128;
  }
  return value;
}

/** The varint at `start` as an int64. */
export function readInt64(bytes: Uint8Array, start: number): bigint {
  const value = readUint64(bytes, start);
  return value > 0x7fff_ffff_ffff_ffffn ? value - 0x1_0000_0000_0000_0000n : value;
}

/** The varint at `start` as a uint64. */
export function readUint64(bytes: Uint8Array, start: number): bigint {
  const seventh = bytes[start + 7];
  // Up to seven bytes are 49 bits: a number holds them, and making one bigint costs less than making seven.
  if (seventh === undefined || hasEndBefore(bytes, start, start + 7)) return BigInt(readNumber(bytes, start));
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[start + i] ?? 0;
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) break;
  }
  return BigInt.asUintN(64, value);
}

function hasEndBefore(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if ((bytes[i] ?? 0) < 0x80) return true;
  return false;
}
