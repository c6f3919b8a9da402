import { type Random, randomBytes } from "@etcd-edge/testkit";

const deepest = 4;
const varintBits = [1, 7, 8, 14, 31, 32, 63, 64] as const;

/** Bytes like a protobuf message: tags of small fields, mostly whole values, messages inside. */
export function generateMessage(random: Random, depth = 0): Buffer {
  return Buffer.concat(Array.from({ length: random.below(6) }, () => someField(random, depth)));
}

function someField(random: Random, depth: number): Buffer {
  const field = random.chance(95) ? 1 + random.below(14) : 1 + random.below(3_000);
  const type = random.chance(50) ? 2 : random.chance(80) ? 0 : random.below(8);
  return Buffer.concat([varint(BigInt(field * 8 + type)), someValue(random, type, depth)]);
}

function someValue(random: Random, type: number, depth: number): Buffer {
  switch (type) {
    case 0: {
      const bits = random.pick(varintBits);
      const value = random.chance(50)
        ? BigInt(random.below(6))
        : (1n << BigInt(bits)) - BigInt(random.below(2));
      return varint(BigInt.asUintN(64, value));
    }
    case 1:
      return randomBytesOf(random, 8);
    case 2: {
      const isMessage = depth < deepest && random.chance(70);
      const body = isMessage ? generateMessage(random, depth + 1) : randomBytes(random, 12);
      // Now and then a length that lies.
      const length = random.chance(97) ? body.length : random.below(200);
      return Buffer.concat([varint(BigInt(length)), body]);
    }
    case 5:
      return randomBytesOf(random, 4);
    default:
      return Buffer.alloc(0);
  }
}

function randomBytesOf(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.below(256)));
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let left = value;
  do {
    const low = Number(left & 0x7fn);
    left >>= 7n;
    bytes.push(left > 0n ? low | 0x80 : low);
  } while (left > 0n);
  return Buffer.from(bytes);
}
