import { KV, toGrpcJsService } from "@etcd-edge/proto";
import { type EtcdMember, findEtcdBinaries, moveLeader, startEtcdCluster } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { EtcdClient } from "./etcd-client.ts";
import { startProxy } from "./proxy-under-test.ts";
import { WatchClient } from "./watch-client.ts";

const kv = toGrpcJsService(KV);
const bytes = (text: string) => Buffer.from(text);
const patience = { timeout: 60_000, interval: 250 };

/** What etcd itself counts of its watches; nothing while it is away. */
async function watchesAt(member: EtcdMember): Promise<number | undefined> {
  try {
    const text = await (await fetch(`${member.clientUrl}/metrics`)).text();
    return Number(/^etcd_debugging_mvcc_watcher_total (\S+)/m.exec(text)?.[1]);
  } catch {
    return undefined; // it is starting
  }
}

// The newest is enough: versions differ in what shows that a new watch is far enough, which the unit tests have.
describe.each((await findEtcdBinaries()).slice(-1))("watches at etcd $version", (binary) => {
  it("spread again over the members after one was away, and lose nothing on the way", {
    timeout: 150_000,
  }, async () => {
    await using cluster = await startEtcdCluster({ binary, members: 3 });
    const [victim, other] = cluster.members;
    if (victim === undefined || other === undefined) throw new Error("three members");
    await moveLeader(cluster, other);
    await using proxy = await startProxy({ endpoints: cluster.endpoints.slice() });
    await using stack = new AsyncDisposableStack();
    const all = Array.from({ length: 9 }, (_, i) => ({
      key: `k${i}`,
      client: stack.use(new WatchClient(proxy.address.port)),
    }));
    for (const { key, client } of all) {
      client.create({ key: bytes(key) });
      await client.next();
    }
    await using etcd = new EtcdClient(other.clientAddress);
    let written = 0;
    // A write that etcd did not answer in time may have happened: it is written again, which is another event.
    const write = async (key: string, value: string): Promise<void> => {
      const request = { key: bytes(key), value: bytes(value) };
      const isWritten = () => etcd.call(kv.put, request).then(Boolean, () => false);
      await expect.poll(isWritten, patience).toBe(true);
    };
    // Something happens all the while: on versions whose idle ranges say nothing, only busy ones move (rule 22).
    const counts = async (): Promise<readonly (number | undefined)[]> => {
      written++;
      for (const { key } of all) await write(key, String(written));
      return await Promise.all(cluster.members.map(watchesAt));
    };

    await expect.poll(counts, patience).toEqual([3, 3, 3]);
    await victim.kill();
    await expect
      .poll(async () => (await counts()).slice(1).reduce((a = 0, b = 0) => a + b, 0), patience)
      .toBe(9);
    await victim.restart();
    await expect.poll(counts, patience).toEqual([3, 3, 3]);

    for (const { client } of all) {
      const seen: string[] = [];
      let revision = 0n;
      while (seen.at(-1) !== String(written)) {
        for (const { kv: one } of (await client.next()).events) {
          expect(one?.modRevision).toBeGreaterThan(revision);
          revision = one?.modRevision ?? 0n;
          const value = Buffer.from(one?.value ?? []).toString();
          if (seen.at(-1) !== value) seen.push(value);
        }
      }
      expect(seen).toEqual(Array.from({ length: written }, (_, i) => String(i + 1)));
    }
  });
});
