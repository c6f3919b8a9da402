import {
  create,
  fromBinary,
  KV,
  type RangeRequest,
  RangeRequestSchema,
  type RangeResponse,
  RangeResponseSchema,
  type RangeStreamResponse,
  toBinary,
  toGrpcJsService,
} from "@etcd-edge/proto";
import { type EtcdCluster, findEtcdBinaries, startEtcdCluster } from "@etcd-edge/testkit";
import { CallError } from "@etcd-edge/transport";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GrpcProxy } from "../src/app.ts";
import { EtcdClient } from "./etcd-client.ts";
import { answerWith, startFakeEtcd } from "./fake-etcd.ts";
import { startProxy } from "./proxy-under-test.ts";

const kv = toGrpcJsService(KV);
type RangeInit = Parameters<typeof kv.range.requestSerialize>[0];
const bytes = (text: string): Buffer => Buffer.from(text);
const all = { key: bytes("r/"), rangeEnd: bytes("r0") };

/** The messages merged as protobuf merges them. */
function merge(messages: readonly RangeStreamResponse[]): RangeResponse {
  const whole = create(RangeResponseSchema);
  for (const { rangeResponse } of messages) {
    if (rangeResponse === undefined) continue;
    whole.kvs.push(...rangeResponse.kvs);
    if (rangeResponse.header !== undefined) whole.header = rangeResponse.header;
    if (rangeResponse.more) whole.more = true;
    if (rangeResponse.count !== 0n) whole.count = rangeResponse.count;
  }
  return whole;
}

describe.each(await findEtcdBinaries())("RangeStream before etcd $version", (binary) => {
  let cluster: EtcdCluster;
  let proxy: GrpcProxy;
  let client: EtcdClient;

  beforeAll(async () => {
    cluster = await startEtcdCluster({ binary });
    proxy = await startProxy({ endpoints: cluster.endpoints });
    client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    for (let i = 0; i < 95; i++) {
      const key = bytes(`r/${String(i).padStart(3, "0")}`);
      await client.call(kv.put, { key, value: Buffer.alloc(i * 10, i) });
    }
  });
  afterAll(async () => {
    for (const one of [client, proxy, cluster]) await one[Symbol.asyncDispose]();
  });

  it.each<[string, RangeInit]>([
    ["a whole range", all],
    ["one key", { key: bytes("r/007") }],
    ["no key", { key: bytes("none") }],
    ["an empty range", { key: bytes("x"), rangeEnd: bytes("y") }],
    ["a limit within the first page", { ...all, limit: 3n }],
    ["a limit past it", { ...all, limit: 42n }],
    ["a limit that is never reached", { ...all, limit: 1_000n }],
    ["as many as there are", { ...all, limit: 95n }],
    ["keys only", { ...all, keysOnly: true }],
    ["a count only", { ...all, countOnly: true }],
    ["from a key on", { key: bytes("r/050"), rangeEnd: Buffer.from([0]) }],
    ["an earlier revision", { ...all, revision: 20n }],
    ["a serializable read", { ...all, serializable: true }],
  ])("%s: all messages together are the answer of one Range", async (_, request) => {
    const { messages, outcome } = await client.stream(kv.rangeStream, request);
    expect(outcome).toMatchObject({ code: 0 });
    const whole = merge(messages);
    const direct = await client.call(kv.range, request);
    expect(whole).toEqual(direct);
    expect(toBinary(RangeResponseSchema, whole)).toEqual(toBinary(RangeResponseSchema, direct));
  });

  it.each<[string, RangeInit, number, string]>([
    ["no key at all", {}, 3, "etcdserver: key is not provided"],
    ["a sort", { ...all, sortOrder: 2 }, 12, "RangeStream does not support custom sort orders"],
    ["a filter", { ...all, minModRevision: 2n }, 12, "RangeStream does not support revision filters"],
    [
      "a sort outside the schema (rule 13)",
      { ...all, sortTarget: 99 as never },
      3,
      "etcdserver: invalid sort option",
    ],
    [
      "a future revision",
      { ...all, revision: 1_000_000n },
      11,
      "etcdserver: mvcc: required revision is a future revision",
    ],
  ])("%s: refused as etcd 3.7 refuses it", async (_, request, code, message) => {
    const { messages, outcome } = await client.stream(kv.rangeStream, request);
    expect({ code: outcome.code, message: outcome.message }).toEqual({ code, message });
    expect(messages).toEqual([]);
  });

  it("stays within a namespace", async () => {
    await using scoped = await startProxy({ endpoints: cluster.endpoints, namespace: "r/" });
    await using inside = new EtcdClient(`127.0.0.1:${scoped.address.port}`);
    const { messages } = await inside.stream(kv.rangeStream, {
      key: Buffer.from([0]),
      rangeEnd: Buffer.from([0]),
    });
    const { kvs } = merge(messages);
    expect(kvs.map(({ key }) => Buffer.from(key).toString()).slice(0, 3)).toEqual(["000", "001", "002"]);
    expect(kvs).toHaveLength(95);
  });
});

describe("RangeStream before an etcd that lacks it", () => {
  const rangeOf = (payload: Uint8Array): RangeRequest => fromBinary(RangeRequestSchema, payload);

  it("reads every page at the revision of the first, though the store goes on", async () => {
    const asked: RangeRequest[] = [];
    let revision = 100n;
    await using etcd = await startFakeEtcd((call) => {
      if (call.path.endsWith("RangeStream"))
        return {
          onHalfClose: () =>
            call.end({ code: 12, message: "unknown method RangeStream for service etcdserverpb.KV" }),
        };
      return {
        onMessage: (payload) => {
          const request = rangeOf(payload);
          asked.push(request);
          const from =
            asked.length === 1 ? 0 : Number(Buffer.from(request.key).subarray(0, 4).toString()) + 1;
          const kvs = Array.from({ length: Math.min(Number(request.limit), 50 - from) }, (_, i) => ({
            key: bytes(String(from + i).padStart(4, "0")),
          }));
          const more = from + kvs.length < 50;
          const header = { clusterId: 1n, memberId: 2n, revision: revision++, raftTerm: 3n };
          const count = BigInt(50 - from);
          call.respond(
            toBinary(RangeResponseSchema, create(RangeResponseSchema, { header, kvs, more, count })),
          );
        },
      };
    });
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    const { messages, outcome } = await client.stream(kv.rangeStream, {
      key: bytes("0"),
      rangeEnd: bytes("1"),
    });
    expect(outcome).toMatchObject({ code: 0 });
    expect(asked.map((one) => [one.revision, one.limit])).toEqual([
      [0n, 10n],
      [100n, 20n],
      [100n, 40n],
    ]);
    const whole = merge(messages);
    expect(whole).toMatchObject({ count: 50n, more: false, header: { revision: 100n, memberId: 2n } });
    expect(whole.kvs).toHaveLength(50);
  });

  it("ends with the error of a page, and what was read before stays read", async () => {
    await using etcd = await startFakeEtcd((call) => {
      if (call.path.endsWith("RangeStream"))
        return { onHalfClose: () => call.end({ code: 12, message: "unknown method" }) };
      return {
        onMessage: (payload) => {
          if (rangeOf(payload).revision !== 0n) {
            call.end({ code: 11, message: "etcdserver: mvcc: required revision has been compacted" });
            return;
          }
          const page = { header: { revision: 5n }, kvs: [{ key: bytes("a") }], more: true, count: 2n };
          call.respond(toBinary(RangeResponseSchema, create(RangeResponseSchema, page)));
        },
      };
    });
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    const { messages, outcome } = await client.stream(kv.rangeStream, {
      key: bytes("a"),
      rangeEnd: bytes("b"),
    });
    expect(messages).toHaveLength(1);
    expect(outcome).toMatchObject({
      code: 11,
      message: "etcdserver: mvcc: required revision has been compacted",
    });
  });

  it("stops asking when its client is gone", async () => {
    const cancelled = Promise.withResolvers<string>();
    await using etcd = await startFakeEtcd((call) =>
      call.path.endsWith("RangeStream")
        ? { onHalfClose: () => call.end({ code: 12, message: "unknown method" }) }
        : { onCancel: ({ t }) => cancelled.resolve(t) },
    );
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    const reading = client.channel.unaryCall(
      kv.rangeStream.path,
      [],
      kv.rangeStream.requestSerialize({ key: bytes("a") }),
      { signal: AbortSignal.timeout(300) },
    );
    await expect(reading).rejects.toBeInstanceOf(CallError);
    expect(await cancelled.promise).toBe("reset");
  });
});

describe("RangeStream before an etcd that has it", () => {
  it("passes as bytes, unknown fields too", async () => {
    const message = Buffer.from([0x0a, 0x02, 0x20, 0x2a, 0xf8, 0x3f, 0x01]);
    await using etcd = await startFakeEtcd(() => answerWith(message));
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    const { payload } = await client.channel.unaryCall(
      kv.rangeStream.path,
      [],
      Buffer.from([0x0a, 0x01, 0x61]),
    );
    expect(Buffer.from(payload)).toEqual(message);
  });
});
