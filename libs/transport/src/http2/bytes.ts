/** Reads 16 bits, big-endian. The caller has checked the bounds, here and below. */
export function readU16(buffer: Uint8Array, offset: number): number {
  return ((buffer[offset] as number) << 8) | (buffer[offset + 1] as number);
}

/** Reads 24 bits, big-endian. */
export function readU24(buffer: Uint8Array, offset: number): number {
  return (
    ((buffer[offset] as number) << 16) |
    ((buffer[offset + 1] as number) << 8) |
    (buffer[offset + 2] as number)
  );
}

/** Reads 32 bits, big-endian, unsigned. */
export function readU32(buffer: Uint8Array, offset: number): number {
  return readU31(buffer, offset) + ((buffer[offset] as number) >= 0x80 ? 0x8000_0000 : 0);
}

/** Reads 32 bits, big-endian, without the top bit, which HTTP/2 reserves. */
export function readU31(buffer: Uint8Array, offset: number): number {
  return (
    (((buffer[offset] as number) & 0x7f) << 24) |
    ((buffer[offset + 1] as number) << 16) |
    ((buffer[offset + 2] as number) << 8) |
    (buffer[offset + 3] as number)
  );
}

/** Writes 32 bits, big-endian. */
export function writeU32(buffer: Uint8Array, offset: number, value: number): void {
  buffer[offset] = value >>> 24;
  buffer[offset + 1] = value >>> 16;
  buffer[offset + 2] = value >>> 8;
  buffer[offset + 3] = value;
}

/** Writes a frame header (RFC 9113, 4.1). */
export function writeFrameHeader(
  buffer: Uint8Array,
  offset: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  buffer[offset] = length >>> 16;
  buffer[offset + 1] = length >>> 8;
  buffer[offset + 2] = length;
  buffer[offset + 3] = type;
  buffer[offset + 4] = flags;
  writeU32(buffer, offset + 5, streamId);
}
