import type { MessageInitShape } from "@etcd-edge/proto";
import {
  Auth,
  create,
  fromBinary,
  KV,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  RangeRequestSchema,
  RangeResponseSchema,
  toBinary,
  toGrpcJsService,
} from "@etcd-edge/proto";
import {
  countCallsAtEtcd,
  type EtcdCluster,
  enableAuth,
  findEtcdBinaries,
  startEtcdCluster,
} from "@etcd-edge/testkit";
import { CallError, type Channel, type RawMetadata } from "@etcd-edge/transport";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GrpcProxy } from "../src/app.ts";
import { EtcdClient } from "./etcd-client.ts";
import { startProxy } from "./proxy-under-test.ts";

const kv = toGrpcJsService(KV);
const auth = toGrpcJsService(Auth);
const bytes = (text: string): Buffer => Buffer.from(text);
type Range = MessageInitShape<typeof RangeRequestSchema>;

/** Reads of every kind that etcd has, small and large. */
const requests: readonly Range[] = [
  ...Array.from({ length: 12 }, (_, i) => ({ key: bytes(`k${i}`) })),
  { key: bytes("absent") },
  { key: bytes("k"), rangeEnd: bytes("l"), limit: 3n },
  { key: bytes("k"), rangeEnd: bytes("l"), limit: 16n, keysOnly: true },
  { key: bytes("k"), rangeEnd: bytes("l"), limit: 5n, sortOrder: RangeRequest_SortOrder.DESCEND },
  {
    key: bytes("k"),
    rangeEnd: bytes("l"),
    limit: 5n,
    sortOrder: RangeRequest_SortOrder.ASCEND,
    sortTarget: RangeRequest_SortTarget.MOD,
  },
  { key: bytes("k"), rangeEnd: bytes("l"), limit: 4n, countOnly: true },
  { key: bytes("k"), rangeEnd: bytes("l"), limit: 4n, minModRevision: 5n, maxCreateRevision: 9n },
  { key: bytes("k"), rangeEnd: bytes("l") },
  { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0), keysOnly: true },
  { key: bytes("k3"), revision: 6n },
  { key: bytes("k3"), revision: 1_000_000n },
  { key: bytes("k3"), revision: 2n },
  { key: bytes("large") },
  { key: bytes("") },
];

async function ask(channel: Channel, request: Uint8Array, metadata: RawMetadata = []): Promise<unknown> {
  try {
    return (await channel.unaryCall(kv.range.path, metadata, request)).payload;
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    return { code: error.code, message: error.message };
  }
}

const encode = (request: Range): Uint8Array =>
  toBinary(RangeRequestSchema, create(RangeRequestSchema, request));

describe.each(await findEtcdBinaries())("shared reads before etcd $version", (binary) => {
  let cluster: EtcdCluster;
  let proxy: GrpcProxy;
  let direct: EtcdClient;
  let through: EtcdClient;

  beforeAll(async () => {
    cluster = await startEtcdCluster({ binary });
    direct = new EtcdClient(cluster.endpoints[0] ?? "");
    for (let i = 0; i < 12; i++)
      await direct.call(kv.put, { key: bytes(`k${i}`), value: bytes(`v${i}`.repeat(i)) });
    await direct.call(kv.put, { key: bytes("large"), value: Buffer.alloc(100_000, 1) });
    await direct.call(kv.compact, { revision: 4n, physical: true });
    proxy = await startProxy({ endpoints: cluster.endpoints, metricsAddr: "http://127.0.0.1:0" });
    through = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
  });
  afterAll(async () => {
    for (const one of [direct, through, proxy, cluster]) await one[Symbol.asyncDispose]();
  });

  /** Range and Txn calls that etcd has answered. */
  function readsAtEtcd(): Promise<number> {
    return countCallsAtEtcd(cluster, ["Range", "Txn"]);
  }

  it("answers what etcd answers, byte for byte, whatever travels together", async () => {
    const payloads = requests.map(encode);
    const expected = await Promise.all(payloads.map((payload) => ask(direct.channel, payload)));
    // The second time it is known whose answer is large.
    for (const round of [1, 2]) {
      const twice = [...payloads, ...payloads];
      const seen = await Promise.all(twice.map((payload) => ask(through.channel, payload)));
      expect(seen, `round ${round}`).toEqual([...expected, ...expected]);
    }
  });

  it("costs etcd few reads for many equal ones, and few for many different ones", async () => {
    const before = await readsAtEtcd();
    const hot = encode({ key: bytes("k1") });
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => ask(through.channel, hot)));
    expect(new Set(answers.map(String)).size).toBe(1);
    const cold = Array.from({ length: 1_000 }, (_, i) => encode({ key: bytes(`many${i}`) }));
    await Promise.all(cold.map((payload) => ask(through.channel, payload)));
    expect((await readsAtEtcd()) - before).toBeLessThan(400);
  });

  it("sees every write that was answered before the read", async () => {
    const payload = encode({ key: bytes("fresh") });
    let stop = false;
    const readers = Array.from({ length: 20 }, async () => {
      while (!stop) await ask(through.channel, payload);
    });
    for (let i = 0; i < 50; i++) {
      const { header } = await direct.call(kv.put, { key: bytes("fresh"), value: bytes(`${i}`) });
      const answer = await ask(through.channel, payload);
      const { kvs, header: seen } = fromBinary(RangeResponseSchema, answer as Buffer);
      expect(Buffer.from(kvs[0]?.value ?? []).toString()).toBe(`${i}`);
      expect(seen?.revision).toBeGreaterThanOrEqual(header?.revision ?? 0n);
    }
    stop = true;
    await Promise.all(readers);
  });

  it("lets callers leave and run out of time by themselves", async () => {
    const payload = encode({ key: bytes("k2") });
    const gone = new AbortController();
    const answers = Array.from({ length: 50 }, (_, i) => {
      const options = i % 2 === 0 ? { signal: gone.signal } : { deadlineAt: performance.now() + 60_000 };
      return through.channel.unaryCall(kv.range.path, [], payload, options).then(
        () => "answered",
        (error: CallError) => error.code,
      );
    });
    gone.abort();
    const seen = await Promise.all(answers);
    expect(seen.filter((_, i) => i % 2 === 1)).toEqual(Array.from({ length: 25 }, () => "answered"));
    expect(seen.filter((_, i) => i % 2 === 0).every((one) => one === 1 || one === "answered")).toBe(true);
  });

  it.each([{ shareReads: false }, { unsharedReadPrefixes: ["x", "k"] }])(
    "can be turned off: %o",
    async (off) => {
      await using plain = await startProxy({ endpoints: cluster.endpoints, ...off });
      await using client = new EtcdClient(`127.0.0.1:${plain.address.port}`);
      const payload = encode({ key: bytes("k1") });
      const before = await readsAtEtcd();
      await Promise.all(Array.from({ length: 100 }, () => ask(client.channel, payload)));
      expect((await readsAtEtcd()) - before).toBeGreaterThanOrEqual(100);
    },
  );
});

describe.each(await findEtcdBinaries())("shared reads with auth on, before etcd $version", (binary) => {
  it("tells each caller what etcd tells its user", async () => {
    await using cluster = await startEtcdCluster({ binary });
    for (const args of [
      ["put", "a", "1"],
      ["put", "b", "2"],
      ["role", "add", "reader"],
      ["role", "grant-permission", "reader", "read", "a"],
    ])
      await cluster.etcdctl(args);
    await enableAuth(cluster, ["ann"]);
    await cluster.etcdctl(["--user=root:pw", "user", "grant-role", "ann", "reader"]);
    await using proxy = await startProxy({ endpoints: cluster.endpoints });
    await using direct = new EtcdClient(cluster.endpoints[0] ?? "");
    await using through = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    const tokenOf = async (name: string): Promise<RawMetadata> => {
      return ["token", (await direct.call(auth.authenticate, { name, password: "pw" })).token];
    };
    const users = [await tokenOf("ann"), await tokenOf("root"), [], ["token", "no token"]];
    const reads = users.flatMap((metadata) =>
      ["a", "b", "c"].map((key) => ({ metadata, payload: encode({ key: bytes(key) }) })),
    );
    const expected = await Promise.all(reads.map((one) => ask(direct.channel, one.payload, one.metadata)));
    for (let round = 0; round < 3; round++) {
      const many = [...reads, ...reads, ...reads];
      const seen = await Promise.all(many.map((one) => ask(through.channel, one.payload, one.metadata)));
      expect(seen).toEqual([...expected, ...expected, ...expected]);
    }
  });
});
