import { createHash } from "node:crypto";
import { DowngradeRequest_DowngradeAction, etcdErrors } from "@etcd-edge/proto";
import { expect } from "vitest";
import { cluster, kv, maintenance } from "../../src/methods.ts";
import type { Behave } from "../behave.ts";
import { put } from "../writes.ts";
import { expectError, expectWholeHeader } from "./expectations.ts";

const nobody = 0xdeadn;
const movingRefusals = ["etcdserver: bad leader transferee", "etcdserver: not leader"];

/** Maintenance and Cluster. */
export function describeMaintaining(behave: Behave): void {
  behave("status is that of a member, with the fields of its version", async (context) => {
    await put(context, "a");
    const status = await context.etcd.ask(maintenance.status, {});
    expectWholeHeader(status);
    expect(status).toMatchObject({ version: context.version, isLearner: false, errors: [] });
    expect(status.leader).not.toBe(0n);
    expect(status.dbSize).toBeGreaterThanOrEqual(status.dbSizeInUse);
    expect(status.raftTerm).toBe(status.header?.raftTerm);
    expect(status.dbSizeQuota > 0n).toBe(context.has({ 3.6: 0 }));
    expect(status.storageVersion).toBe(context.has({ 3.6: 0 }) ? `${context.version.slice(0, 3)}.0` : "");
  });

  behave("no alarm is raised", async (context) => {
    const answer = await context.etcd.ask(maintenance.alarm, {});
    if (context.has({ 3.5: 0 })) expectWholeHeader(answer);
    expect(answer.alarms).toEqual([]);
  });

  behave("the hash of the key space is the same twice, and has a whole header", async (context) => {
    const revision = await put(context, "a");
    const hash = async () => await context.etcd.ask(maintenance.hashKV, { revision });
    const first = await hash();
    expectWholeHeader(first);
    await put(context, "b");
    expect((await hash()).hash).toBe(first.hash);
    expect(first.hashRevision).toBe(context.has({ 3.6: 0 }) ? revision : 0n);
    await expectError(
      context.etcd.refusal(maintenance.hashKV, { revision: revision + 1_000n }),
      etcdErrors.futureRevision,
    );
    expectWholeHeader(await context.etcd.ask(maintenance.hash, {}));
  });

  behave("a snapshot comes whole, with its sum behind it", async (context) => {
    await context.etcd.ask(kv.put, { key: context.key("a"), value: Buffer.alloc(500_000, 120) });
    using stream = context.etcd.stream(maintenance.snapshot);
    stream.send({});
    stream.halfClose();
    const parts: Uint8Array[] = [];
    let remaining: bigint;
    do {
      const { blob, remainingBytes, version } = await stream.next();
      parts.push(blob);
      remaining = remainingBytes;
      // The last part is the sum alone; 3.6 says in each which layout it has.
      if (remaining > 0n) {
        expect(version).toBe(context.has({ 3.6: 0 }) ? `${context.version.slice(0, 3)}.0` : "");
      }
    } while (remaining > 0n || !isSummed(parts));
    expect(await stream.ended).toMatchObject({ code: 0 });
    expect(Buffer.concat(parts).length).toBeGreaterThan(500_000);
  });

  behave("a defragmentation is answered", async ({ etcd }) => {
    await etcd.ask(maintenance.defragment, {});
  });

  behave("a downgrade is checked, from 3.5 on", async (context) => {
    const { VALIDATE } = DowngradeRequest_DowngradeAction;
    const ask = context.etcd.refusal(maintenance.downgrade, { action: VALIDATE, version: "no version" });
    if (context.has({ 3.5: 0 })) {
      await expectError(ask, etcdErrors.wrongDowngradeVersionFormat);
    } else {
      expect(await ask).toEqual({
        code: 12,
        message: "unknown method Downgrade for service etcdserverpb.Maintenance",
      });
    }
  });

  behave("a leader is not moved to one who is no member", async (context) => {
    const refusal = await context.etcd.refusal(maintenance.moveLeader, { targetID: nobody });
    expect(refusal.code).toBe(9);
    // Straight at one of three that may be a follower, which looks no further.
    const isAtLeader = context.open.place.members === 1;
    expect(isAtLeader ? ["etcdserver: bad leader transferee"] : movingRefusals).toContain(refusal.message);
  });

  behave("the members are listed", async (context) => {
    const answer = await context.etcd.ask(cluster.memberList, {});
    // It comes from no store: there is no revision in it.
    expect(answer.header).toMatchObject({ revision: 0n });
    expect(answer.header?.clusterId).not.toBe(0n);
    const { members } = context.open.cluster;
    expect(answer.members.map((one) => one.name).toSorted()).toEqual(members.map((one) => one.name));
    const urls = answer.members.flatMap((one) => one.clientURLs).toSorted();
    expect(urls).toEqual(members.map((one) => one.clientUrl).toSorted());
    for (const member of answer.members) expect(member.ID).not.toBe(0n);
  });

  behave("one who is no member is neither removed, changed nor promoted", async (context) => {
    const { etcd } = context;
    await expectError(etcd.refusal(cluster.memberRemove, { ID: nobody }), etcdErrors.memberNotFound);
    // A change of members that raft meets before it is done with the last one is dropped without an answer (seen on 3.5.30:
    // 4 of 7,000). A read of a quorum comes after that.
    await etcd.ask(kv.range, { key: context.key("a") });
    const peerURLs = ["http://127.0.0.1:1"];
    await expectError(
      etcd.refusal(cluster.memberUpdate, { ID: nobody, peerURLs }),
      etcdErrors.memberNotFound,
    );
    await expectError(etcd.refusal(cluster.memberPromote, { ID: nobody }), etcdErrors.memberNotFound);
  });

  behave("a member has addresses that can be read, and no other's", async ({ etcd, open }) => {
    const bad = { peerURLs: ["no url"] };
    await expectError(etcd.refusal(cluster.memberAdd, bad), etcdErrors.memberUrlsInvalid);
    // Three that have just met are too fresh to be asked: "unhealthy cluster" for their first seconds.
    if (open.place.members === 3) return;
    const taken = { peerURLs: [open.cluster.members[0]?.peerUrl ?? ""] };
    await expectError(etcd.refusal(cluster.memberAdd, taken), etcdErrors.peerUrlsExist);
  });

  behave("a voting member is no learner to promote", async ({ etcd }) => {
    const { members } = await etcd.ask(cluster.memberList, {});
    const ID = members[0]?.ID ?? 0n;
    await expectError(etcd.refusal(cluster.memberPromote, { ID }), etcdErrors.memberNotLearner);
  });
}

/** The last 32 bytes of a snapshot are the SHA-256 of what stands before them. */
function isSummed(parts: readonly Uint8Array[]): boolean {
  const whole = Buffer.concat(parts);
  if (whole.length < 32) return false;
  const sum = createHash("sha256").update(whole.subarray(0, -32)).digest();
  return sum.equals(whole.subarray(-32));
}
