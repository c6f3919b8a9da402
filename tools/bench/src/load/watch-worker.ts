import { create, fromBinary, toBinary, WatchRequestSchema, WatchResponseSchema } from "@etcd-edge/proto";
import { Channel } from "@etcd-edge/transport";

/*
 * Child process: opens watch streams on one key over a few connections and counts what comes, without reading it.
 * Answers each message of its parent with its counts. Arguments: port, connections, streams.
 */
const [port = 0, connections = 1, streams = 1] = process.argv.slice(2).map(Number);
const key = new TextEncoder().encode("bench");
const request = toBinary(
  WatchRequestSchema,
  create(WatchRequestSchema, { requestUnion: { case: "createRequest", value: { key } } }),
);
const counts = { created: 0, refused: 0, events: 0, ended: 0, firstAtMs: 0, lastAtMs: 0 };

for (let i = 0; i < connections; i++) {
  const channel = new Channel({ endpoint: { host: "127.0.0.1", port } });
  for (let j = i; j < streams; j += connections) open(channel);
}

function open(channel: Channel): void {
  let isCreated = false;
  const call = channel.open(
    "/etcdserverpb.Watch/Watch",
    [],
    {},
    {
      onMessage: (payload) => {
        if (!isCreated) {
          isCreated = true;
          counts.created++;
          // A machine that is too busy: the create was not answered in time.
          if (fromBinary(WatchResponseSchema, payload).canceled) counts.refused++;
          return;
        }
        counts.lastAtMs = performance.timeOrigin + performance.now();
        if (counts.events === 0) counts.firstAtMs = counts.lastAtMs;
        counts.events += countEvents(payload);
      },
      onEnd: () => counts.ended++,
    },
  );
  call.sendMessage(request);
}

/** Entries of field 11, by the lengths of the fields alone. */
function countEvents(payload: Uint8Array): number {
  let events = 0;
  let at = 0;
  while (at < payload.length) {
    const tag = payload[at++] ?? 0;
    let value = 0;
    let shift = 0;
    for (let byte = 0x80; byte >= 0x80; shift += 7) {
      byte = payload[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
    }
    if (tag === 0x5a) events++;
    if ((tag & 7) === 2) at += value;
  }
  return events;
}

process.on("message", () => process.send?.(counts));
