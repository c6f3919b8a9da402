import type { Random } from "../random.ts";

const longest = 20_000;
/** Bytes at the borders of signed, unsigned and varint numbers. */
const borders: readonly number[] = [0, 1, 0x7f, 0x80, 0xff];

/** Up to so many bytes, each of any value. */
export function randomBytes(random: Random, limit: number): Buffer {
  return Buffer.from(Array.from({ length: random.below(limit) }, () => random.below(256)));
}

/** The input with something changed: bits, bytes, lengths, order, or a part of another. */
export function mutate(input: Buffer, other: Buffer, pieces: readonly Buffer[], random: Random): Buffer {
  let bytes: Buffer = Buffer.from(input);
  for (let i = random.below(4); i >= 0; i--) bytes = change(bytes, other, pieces, random);
  return bytes.subarray(0, longest);
}

function change(bytes: Buffer, other: Buffer, pieces: readonly Buffer[], random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const insert = (part: Buffer): Buffer => Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
  switch (random.below(8)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = random.pick([...borders, random.below(256)]);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return insert(randomBytes(random, 20));
    case 4: {
      const end = Math.min(bytes.length, at + random.below(20));
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    }
    case 5:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length + 1))]);
    case 6: {
      const end = Math.min(bytes.length, at + random.below(30));
      return insert(bytes.subarray(at, end)); // the same twice
    }
    default:
      return pieces.length === 0 ? bytes : insert(random.pick(pieces));
  }
}
