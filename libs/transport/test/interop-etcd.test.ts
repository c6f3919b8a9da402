import { Buffer } from "node:buffer";
import { execFile } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type EtcdCluster, findEtcdBinaries, startEtcdCluster, startProgram } from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Channel, type Outcome } from "../src/index.ts";
import { startServer, type TestServer } from "./support/echo-server.ts";
import { relayTo } from "./support/relay.ts";

const execute = promisify(execFile);

let cluster: EtcdCluster;
let channel: Channel;
let relay: TestServer;

beforeAll(async () => {
  const binary = (await findEtcdBinaries()).at(-1);
  if (binary === undefined) throw new Error("no etcd found: see README");
  cluster = await startEtcdCluster({ binary });
  const [host = "", port = ""] = (cluster.endpoints[0] ?? "").split(":");
  channel = new Channel({ endpoint: { host, port: Number(port) } });
  relay = await startServer({ onCall: relayTo(channel) });
});

afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  await channel?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

const etcdctl = async (...args: string[]): Promise<string> =>
  (await cluster.etcdctl(args, [`127.0.0.1:${relay.port}`])).stdout;

/** Protobuf of PutRequest or RangeRequest with bytes in fields 1 and 2. */
function keyAnd(key: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.of(0x0a, key.length),
    Buffer.from(key),
    Buffer.of(0x12, value.length),
    Buffer.from(value),
  ]);
}

describe("etcd as the server", () => {
  it("put, range, watch and an error with its code", async () => {
    const range = Buffer.from([0x0a, 1, 0x61]);
    const { promise: end, resolve } = Promise.withResolvers<Outcome>();
    const events: Buffer[] = [];
    const watch = channel.open(
      "/etcdserverpb.Watch/Watch",
      [],
      {},
      { onMessage: (payload) => events.push(payload), onEnd: resolve },
    );
    // WatchRequest{create_request{key: "a"}}
    watch.sendMessage(Buffer.from([0x0a, 3, 0x0a, 1, 0x61]));
    await expect.poll(() => events.length).toBe(1);
    await channel.unaryCall("/etcdserverpb.KV/Put", [], keyAnd("a", "value-1"));
    await expect.poll(() => events.length).toBe(2);
    expect(events[1]?.includes("value-1")).toBe(true);
    expect((await channel.unaryCall("/etcdserverpb.KV/Range", [], range)).payload.includes("value-1")).toBe(
      true,
    );
    await expect(channel.unaryCall("/etcdserverpb.KV/Put", [], Buffer.alloc(0))).rejects.toMatchObject({
      code: 3,
      message: "etcdserver: key is not provided",
    });
    watch.cancel();
    expect(await end).toMatchObject({ code: 1 });
  });

  it("a value of 1 MB, and 300 calls at once", async () => {
    const big = Buffer.concat([
      Buffer.from([0x0a, 1, 0x62, 0x12, 0xc0, 0x84, 0x3d]),
      Buffer.alloc(1_000_000, "v"),
    ]);
    await channel.unaryCall("/etcdserverpb.KV/Put", [], big);
    const answers = await Promise.all(
      Array.from({ length: 300 }, () =>
        channel.unaryCall("/etcdserverpb.KV/Range", [], Buffer.from([0x0a, 1, 0x62])),
      ),
    );
    expect(answers.every(({ payload }) => payload.length > 1_000_000)).toBe(true);
    expect(channel.counters.connectionsOpened).toBe(1);
  });
});

describe("etcdctl (grpc-go) as the client, through a relay", () => {
  it("put, get, txn, lease, member list, status", async () => {
    expect(await etcdctl("put", "k", "v")).toContain("OK");
    expect(await etcdctl("get", "k", "--print-value-only")).toBe("v\n");
    expect(await etcdctl("get", "", "--prefix", "--keys-only")).toContain("k");
    expect(await etcdctl("lease", "grant", "60")).toContain("granted");
    expect(await etcdctl("member", "list")).toContain("started");
    expect(await etcdctl("endpoint", "status")).toContain(cluster.binary.version);
    await expect(etcdctl("put", "", "v")).rejects.toThrow(/key is not provided/);
  });

  it("watch sees what is put, and ends when killed", async () => {
    await using watcher = startProgram(
      cluster.binary.etcdctl,
      ["watch", "w", "--endpoints", `127.0.0.1:${relay.port}`],
      { env: { ETCDCTL_API: "3" } },
    );
    const ended = relay.server.counters.callsEnded;
    // The watch is there when its created response has passed the relay.
    await expect
      .poll(() => relay.calls.some(({ path, isEnded }) => path.endsWith("/Watch") && !isEnded))
      .toBe(true);
    await expect
      .poll(async () => {
        await etcdctl("put", "w", "seen");
        return watcher.output();
      })
      .toContain("seen");
    await watcher[Symbol.asyncDispose]();
    await expect.poll(() => relay.server.counters.callsEnded).toBeGreaterThan(ended);
    await expect.poll(() => relay.calls.every(({ isEnded }) => isEnded)).toBe(true);
  });

  it("keeps a lease alive, takes a snapshot, and reads 1,000 keys", async () => {
    const granted = await etcdctl("lease", "grant", "30");
    const id = /lease ([0-9a-f]+)/.exec(granted)?.[1] ?? "";
    expect(await etcdctl("lease", "keep-alive", "--once", id)).toContain("keepalived");
    for (let i = 0; i < 1000; i++) {
      const key = `many/${i}`;
      await channel.unaryCall("/etcdserverpb.KV/Put", [], keyAnd(key, "x".repeat(100)));
    }
    expect((await etcdctl("get", "many/", "--prefix", "--keys-only")).match(/many/g)).toHaveLength(1000);
    const folder = await mkdtemp(join(tmpdir(), "etcd-edge-"));
    const file = join(folder, "snapshot.db");
    await etcdctl("snapshot", "save", file);
    expect((await stat(file)).size).toBeGreaterThan(1_000_000);
    await rm(folder, { recursive: true });
  });
});

describe("python3-etcd3 (grpc C core) as the client, through a relay", () => {
  it("puts, gets, watches and uses a lease", async () => {
    const program = `
import etcd3
client = etcd3.client(host="127.0.0.1", port=${relay.port})
client.put("p", "1" * 100000)
print(len(client.get("p")[0]))
events, cancel = client.watch("q")
client.put("q", "event")
print(next(iter(events)).value.decode())
cancel()
lease = client.lease(30)
client.put("l", "x", lease=lease)
lease.refresh()
print(lease.remaining_ttl > 0)
lease.revoke()
print(client.get("l")[0])
client.close()
`;
    const { stdout } = await execute("/usr/bin/python3", ["-c", program], { timeout: 30_000 });
    expect(stdout.split("\n")).toEqual(["100000", "event", "True", "None", ""]);
    expect(relay.server.counters).toMatchObject({ protocolErrors: 0, streamErrors: 0 });
  });
});
