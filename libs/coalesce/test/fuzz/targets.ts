import { create, EventSchema, readWatchResponse, toBinary, WatchResponseSchema } from "@etcd-edge/proto";
import type { FuzzTarget, Random } from "@etcd-edge/testkit";
import { type Body, encodeEnvelope, readEnvelope } from "../../src/fabric/envelope.ts";
import { fromFrameMessage, toFrameMessage } from "../../src/fabric/frame.ts";

const sender = { replica: "r1", clusterId: 7n, epoch: { id: "e", number: 1n } };
const key = Uint8Array.of(107);
const header = { clusterId: 7n, memberId: 1n, revision: 9n, raftTerm: 2n };

function frame(random: Random): Uint8Array {
  const events = Array.from({ length: 1 + random.below(3) }, (_, i) =>
    create(EventSchema, { kv: { key, modRevision: BigInt(5 + i), version: 2n }, prevKv: { key } }),
  );
  const response = toBinary(WatchResponseSchema, create(WatchResponseSchema, { header, events }));
  const view = readWatchResponse(response);
  const range = { t: "point", key } as const;
  const prevKvBase = random.chance(50) ? 4n : undefined;
  const value = toFrameMessage({
    ...{ range, prev: 4n, upto: 9n, events: view.events, header, prevKvBase, isWithheld: false },
  });
  return encodeEnvelope(sender, { case: "frame", value });
}

function generate(random: Random): Buffer {
  if (random.chance(60)) return Buffer.from(frame(random));
  const feed = "0123456789abcdef";
  const body = random.pick<Body>([
    { case: "rollCall", value: {} },
    { case: "beats", value: { beats: [{ feed, prev: 1n, upto: 9n, isAnswer: true }] } },
    { case: "feeds", value: { isWhole: true, states: [{ range: { key }, role: 2, upto: 9n }] } },
    { case: "backlogWanted", value: { to: "r2", tag: 3n, feed, range: { key }, after: 4n } },
    { case: "presence", value: { name: "host", stats: [{ name: "watches", value: 3n }] } },
  ]);
  return Buffer.from(encodeEnvelope(sender, body));
}

/** What anybody may publish on NATS: a message that is written and read as the same again, or nothing. */
const envelope: FuzzTarget = {
  generate,
  pieces: [
    [0x08, 1],
    [0x12, 1],
    [0x42, 4],
    [0x0a, 1, 107],
    [0x5a, 2],
    [0xff, 0xff, 0xff, 0xff, 0x0f],
  ].map((one) => Buffer.from(one)),
  run: (input) => {
    const reading = readEnvelope(input);
    if (reading.t !== "message") return reading.t;
    const { body } = reading;
    if (body.case !== "frame") return body.case ?? "nothing";
    let read: ReturnType<typeof fromFrameMessage>;
    try {
      read = fromFrameMessage(body.value);
    } catch (error) {
      if (error instanceof RangeError) return "frame malformed";
      throw error;
    }
    if (read === undefined) return "frame refused";
    const again = fromFrameMessage(toFrameMessage(read));
    if (again?.events.length !== read.events.length || again.upto !== read.upto)
      throw new Error("not read back");
    return `frame ${read.events.length}`;
  },
};

export const targets: Readonly<Record<string, FuzzTarget>> = { envelope };
