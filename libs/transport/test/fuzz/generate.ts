import { Buffer } from "node:buffer";
import { FrameType } from "../../src/http2/constants.ts";
import {
  block,
  data,
  frame,
  goaway,
  headers,
  message,
  type Pairs,
  ping,
  requestHeaders,
  rst,
  settings,
  settingsAck,
  windowUpdate,
} from "../support/frames.ts";
import type { Random } from "./random.ts";

const answerHeaders: Pairs = [
  [":status", "200"],
  ["content-type", "application/grpc"],
];

function randomBytes(random: Random, limit: number): Buffer {
  return Buffer.from(Array.from({ length: random.below(limit) }, () => random.below(256)));
}

function streamId(random: Random): number {
  return random.chance(80) ? random.below(4) * 2 + 1 : random.below(20);
}

/** A frame that makes sense, more or less. */
function plausibleFrame(random: Random): Buffer {
  const id = streamId(random);
  switch (random.below(14)) {
    case 0:
      return headers(id, requestHeaders, random.chance(30));
    case 1:
      return headers(id, answerHeaders, random.chance(10));
    case 2:
      return headers(id, [["grpc-status", String(random.below(20))]], true);
    case 3:
      return data(id, message(randomBytes(random, 40)), random.chance(30));
    case 4:
      return data(id, randomBytes(random, 30), random.chance(20));
    case 5:
      return frame(FrameType.data, 8 | random.below(2), id, randomBytes(random, 40));
    case 6:
      return rst(id, random.below(15));
    case 7:
      return settings([random.below(8), random.pick([0, 1, 100, 16_384, 65_535, 0x7fff_ffff, 0x8000_0000])]);
    case 8:
      return random.chance(50) ? ping() : ping("ackackac", 1);
    case 9:
      return goaway(random.below(10), random.below(15), "bye");
    case 10:
      return windowUpdate(random.chance(50) ? 0 : id, random.pick([0, 1, 1000, 65_535, 0x7fff_ffff]));
    case 11: {
      const whole = block(requestHeaders);
      const cut = random.below(whole.length);
      return Buffer.concat([
        frame(FrameType.headers, random.below(2), id, whole.subarray(0, cut)),
        frame(FrameType.continuation, 4, id, whole.subarray(cut)),
      ]);
    }
    case 12:
      return settingsAck;
    default:
      return frame(random.below(12), random.below(256), id, randomBytes(random, 50));
  }
}

/** Bytes as a peer might send them after its preface. */
export function generate(random: Random): Buffer {
  const first = random.chance(95) ? [settings()] : [];
  return Buffer.concat([
    ...first,
    ...Array.from({ length: 1 + random.below(20) }, () => plausibleFrame(random)),
  ]);
}

/** The input with something changed: bits, bytes, lengths, order. */
export function mutate(input: Buffer, other: Buffer, random: Random): Buffer {
  let bytes: Buffer = Buffer.from(input);
  for (let i = random.below(4); i >= 0; i--) {
    const at = random.below(bytes.length + 1);
    switch (random.below(7)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 1:
        if (at < bytes.length) bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), randomBytes(random, 20), bytes.subarray(at)]);
        break;
      case 4:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          bytes.subarray(Math.min(bytes.length, at + random.below(20))),
        ]);
        break;
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length + 1))]);
        break;
      default:
        bytes = Buffer.concat([bytes, plausibleFrame(random)]);
    }
  }
  return bytes.subarray(0, 20_000);
}
