/** How many bytes a number of 32 bits takes as a varint. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes++;
  return bytes;
}

/** Writes a number of 32 bits. @returns where it ends */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let position = at;
  let rest = value;
  while (rest > 0x7f) {
    target[position++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[position++] = rest;
  return position;
}

/** Writes an int64 or uint64: negative ones take ten bytes. @returns where it ends */
export function writeBigVarint(target: Uint8Array, at: number, value: bigint): number {
  let rest = BigInt.asUintN(64, value);
  let position = at;
  while (rest > 0x0fff_ffffn) {
    target[position++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  return writeVarint(target, position, Number(rest));
}
