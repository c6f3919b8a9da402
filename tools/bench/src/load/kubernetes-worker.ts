import { Buffer } from "node:buffer";
import { create, RangeRequestSchema, toBinary, WatchRequestSchema } from "@etcd-edge/proto";
import { Channel } from "@etcd-edge/transport";

/*
 * Child process: what a Kubernetes control plane asks of etcd. Each client watches the prefix and reads on in a few loops: of 100
 * reads 80 are gets of one key, 15 pages of 500 keys at the present, 5 pages at the revision of the first. One writer changes a key
 * every 10 ms. Arguments: port, seconds, clients, prefix, width of the digits in keys, number of keys.
 */
const [portText = "0", secondsText = "1", clientsText = "1", prefix = "", widthText = "1", countText = "1"] =
  process.argv.slice(2);
const [port, seconds, clients, width, count] = [portText, secondsText, clientsText, widthText, countText].map(
  Number,
) as [number, number, number, number, number];
const loops = 4;
const pageKeys = 500n;
const rangePath = "/etcdserverpb.KV/Range";
const key = (index: number): Buffer => Buffer.from(`${prefix}${String(index).padStart(width, "0")}`);
const end = Buffer.from(prefix);
end[end.length - 1] = (end[end.length - 1] ?? 0) + 1;
const encode = (query: {
  key: Uint8Array;
  rangeEnd?: Uint8Array;
  limit?: bigint;
  revision?: bigint;
}): Uint8Array => toBinary(RangeRequestSchema, create(RangeRequestSchema, query));

const until = performance.now() + seconds * 1_000;
let requests = 0;
let revision = 0n;

async function put(channel: Channel): Promise<void> {
  const name = key(Math.floor(Math.random() * count));
  const body = Buffer.concat([
    Buffer.of(0x0a, name.length),
    name,
    Buffer.of(0x12, 64),
    Buffer.alloc(64, "w"),
  ]);
  await channel.unaryCall("/etcdserverpb.KV/Put", [], body);
}

async function read(channel: Channel): Promise<void> {
  const dice = Math.random() * 100;
  const from = Math.floor(Math.random() * 4) * Number(pageKeys);
  const page = { key: key(from), rangeEnd: end, limit: pageKeys };
  if (dice < 80) {
    await channel.unaryCall(rangePath, [], encode({ key: key(Math.floor(Math.random() * count)) }));
  } else if (dice < 95 || revision === 0n) {
    const { payload } = await channel.unaryCall(rangePath, [], encode(page));
    revision = revisionOf(payload);
  } else {
    await channel.unaryCall(rangePath, [], encode({ ...page, revision }));
  }
  requests++;
}

/** `header.revision`, which stands at the beginning: decoding all of a page would be the load generator's work, not etcd's. */
function revisionOf(payload: Buffer): bigint {
  let at = 2;
  for (const headerEnd = 2 + (payload[1] ?? 0); at < headerEnd; ) {
    const tag = payload[at++];
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = payload[at++] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (tag === 0x18) return value;
  }
  return 0n;
}

const channels = Array.from(
  { length: clients },
  () => new Channel({ endpoint: { host: "127.0.0.1", port } }),
);
const watch = toBinary(
  WatchRequestSchema,
  create(WatchRequestSchema, {
    requestUnion: { case: "createRequest", value: { key: Buffer.from(prefix), rangeEnd: end } },
  }),
);
for (const channel of channels) {
  const call = channel.open("/etcdserverpb.Watch/Watch", [], {}, { onMessage: () => {}, onEnd: () => {} });
  call.sendMessage(watch);
}
const [writer] = channels;
const writing = setInterval(() => {
  if (writer !== undefined) void put(writer).catch(() => undefined);
}, 10);
const started = performance.now();
await Promise.all(
  channels.flatMap((channel) =>
    Array.from({ length: loops }, async () => {
      while (performance.now() < until) await read(channel);
    }),
  ),
);
clearInterval(writing);
process.send?.({ requests, seconds: (performance.now() - started) / 1_000 }, () => process.exit(0));
