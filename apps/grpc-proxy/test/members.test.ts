import { Maintenance, type ResponseHeader, toGrpcJsService } from "@etcd-edge/proto";
import { type EtcdCluster, findEtcdBinaries, startEtcdCluster } from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GrpcProxy } from "../src/app.ts";
import { EtcdClient } from "./etcd-client.ts";
import { startProxy } from "./proxy-under-test.ts";

const maintenance = toGrpcJsService(Maintenance);

describe.each(await findEtcdBinaries())("one member of three of etcd $version", (binary) => {
  let cluster: EtcdCluster;
  let proxy: GrpcProxy;
  const connect = (): EtcdClient => new EtcdClient(`127.0.0.1:${proxy.address.port}`);

  beforeAll(async () => {
    cluster = await startEtcdCluster({ binary, members: 3 });
    proxy = await startProxy({ endpoints: cluster.endpoints });
  });
  afterAll(async () => {
    for (const one of [proxy, cluster]) await one[Symbol.asyncDispose]();
  });

  const memberOf = (header: ResponseHeader | undefined): bigint => header?.memberId ?? 0n;

  async function askAll(client: EtcdClient): Promise<Set<bigint>> {
    const answers = [
      await client.call(maintenance.status, {}),
      await client.call(maintenance.defragment, {}),
      await client.call(maintenance.hash, {}),
      await client.call(maintenance.hashKV, { revision: 0n }),
      await client.call(maintenance.alarm, {}),
      await client.call(maintenance.status, {}),
    ];
    const { messages } = await client.stream(maintenance.snapshot, {});
    const headers = [...answers, ...messages].map((answer) =>
      "header" in answer ? answer.header : undefined,
    );
    // Defragment has no header, and 3.4 leaves the member out of some.
    return new Set(headers.map(memberOf).filter((id) => id !== 0n));
  }

  it("answers everything that one connection asks of a member, and the header says which", async () => {
    const seen = new Set<bigint>();
    for (let i = 0; i < 6; i++) {
      await using client = connect();
      const members = await askAll(client);
      expect([...members]).toEqual([[...members][0]]);
      for (const id of members) seen.add(id);
    }
    expect(seen.size).toBe(3); // each connection has its own
  });

  it("gives its place to another when it stops", async () => {
    await using client = connect();
    const first = memberOf((await client.call(maintenance.status, {})).header);
    const member = await memberWith(first);
    await member.kill();
    let next = first;
    while (next === first) {
      // What is in the air while it dies may fail: it is nobody's to repeat.
      next = memberOf((await client.call(maintenance.status, {}).catch(() => undefined))?.header) || first;
    }
    // Not what needs a leader: there may be none yet.
    expect(memberOf((await client.call(maintenance.hash, {})).header)).toBe(next);
    expect(memberOf((await client.call(maintenance.status, {})).header)).toBe(next);
    await member.restart();
  });

  it("moves the leader whichever members the client is connected to, again and again", async () => {
    await using client = connect();
    for (let i = 0; i < 4; i++) {
      const { leader } = await client.call(maintenance.status, {});
      const ids = await Promise.all(cluster.members.map(({ clientAddress }) => idAt(clientAddress)));
      const targetID = ids.find((id) => id !== leader) ?? 0n;
      await client.call(maintenance.moveLeader, { targetID });
      const leaders = await Promise.all(cluster.members.map(({ clientAddress }) => leaderAt(clientAddress)));
      expect(leaders).toContain(targetID);
    }
  });

  async function statusAt(address: string): Promise<{ id: bigint; leader: bigint }> {
    await using client = new EtcdClient(address);
    const { header, leader } = await client.call(maintenance.status, {});
    return { id: memberOf(header), leader };
  }
  const idAt = async (address: string): Promise<bigint> => (await statusAt(address)).id;
  const leaderAt = async (address: string): Promise<bigint> => (await statusAt(address)).leader;

  async function memberWith(id: bigint): Promise<EtcdCluster["members"][number]> {
    for (const member of cluster.members) if ((await idAt(member.clientAddress)) === id) return member;
    throw new Error(`no member ${id}`);
  }
});
