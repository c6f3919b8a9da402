import { Buffer } from "node:buffer";
import { type Random, randomBytes } from "@etcd-edge/testkit";
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

const answerHeaders: Pairs = [
  [":status", "200"],
  ["content-type", "application/grpc"],
];

function streamId(random: Random): number {
  return random.chance(80) ? random.below(4) * 2 + 1 : random.below(20);
}

/** A frame that makes sense, more or less. */
export function plausibleFrame(random: Random): Buffer {
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
