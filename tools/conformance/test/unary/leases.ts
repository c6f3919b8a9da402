import { etcdErrors } from "@etcd-edge/proto";
import { expect } from "vitest";
import { bytes } from "../../src/context.ts";
import { kv, lease } from "../../src/methods.ts";
import type { Behave } from "../behave.ts";
import { expectError, expectWholeHeader, namesOf } from "./expectations.ts";

const unknown = 4_242_424_242n;

/** Grant, revoke, time to live, list, keep alive. */
export function describeLeases(behave: Behave): void {
  behave("a grant answers an id and the seconds that were asked", async ({ etcd }) => {
    const granted = await etcd.ask(lease.leaseGrant, { TTL: 60n });
    expectWholeHeader(granted);
    expect(granted).toMatchObject({ TTL: 60n, error: "" });
    expect(granted.ID).not.toBe(0n);
    expectWholeHeader(await etcd.ask(lease.leaseRevoke, { ID: granted.ID }));
  });

  behave("a client may choose the id, once; also the outermost ones", async ({ etcd }) => {
    for (const ID of [77n, -1n, (1n << 63n) - 1n, -(1n << 63n)]) {
      expect((await etcd.ask(lease.leaseGrant, { ID, TTL: 60n })).ID).toBe(ID);
      await expectError(etcd.refusal(lease.leaseGrant, { ID, TTL: 60n }), etcdErrors.leaseExists);
      await etcd.ask(lease.leaseRevoke, { ID });
    }
  });

  behave("9,000,000,000 seconds are the longest", async ({ etcd }) => {
    await expectError(etcd.refusal(lease.leaseGrant, { TTL: 9_000_000_001n }), etcdErrors.leaseTtlTooLarge);
    const { ID } = await etcd.ask(lease.leaseGrant, { TTL: 9_000_000_000n });
    await etcd.ask(lease.leaseRevoke, { ID });
  });

  behave("what is not there cannot be revoked, or carry a key", async ({ etcd, key }) => {
    await expectError(etcd.refusal(lease.leaseRevoke, { ID: unknown }), etcdErrors.leaseNotFound);
    await expectError(etcd.refusal(kv.put, { key: key("a"), lease: unknown }), etcdErrors.leaseNotFound);
    expect((await etcd.ask(kv.range, { key: key("a") })).count).toBe(0n);
  });

  behave("the time to live is told with the keys, to those who ask for them", async (context) => {
    const { etcd, key } = context;
    const { ID } = await etcd.ask(lease.leaseGrant, { TTL: 100n });
    for (const name of ["b", "a"]) await etcd.ask(kv.put, { key: key(name), value: bytes("1"), lease: ID });
    const told = await etcd.ask(lease.leaseTimeToLive, { ID, keys: true });
    expectWholeHeader(told);
    expect(told).toMatchObject({ ID, grantedTTL: 100n });
    expect(told.TTL).toBeGreaterThan(90n);
    expect(told.TTL).toBeLessThanOrEqual(100n);
    expect(
      namesOf(
        context,
        told.keys.map((one) => ({ key: one })),
      ).toSorted(),
    ).toEqual(["a", "b"]);
    expect((await etcd.ask(lease.leaseTimeToLive, { ID })).keys).toEqual([]);
    await etcd.ask(lease.leaseRevoke, { ID });
    const gone = await etcd.ask(lease.leaseTimeToLive, { ID, keys: true });
    expect(gone).toMatchObject({ ID, TTL: -1n, grantedTTL: 0n, keys: [] });
    expectWholeHeader(gone);
  });

  behave("revoking deletes the keys", async ({ etcd, key }) => {
    const { ID } = await etcd.ask(lease.leaseGrant, { TTL: 100n });
    await etcd.ask(kv.put, { key: key("a"), lease: ID });
    await etcd.ask(kv.put, { key: key("moved"), lease: ID });
    await etcd.ask(kv.put, { key: key("moved") });
    await etcd.ask(lease.leaseRevoke, { ID });
    expect((await etcd.ask(kv.range, { key: key("a") })).count).toBe(0n);
    expect((await etcd.ask(kv.range, { key: key("moved") })).count).toBe(1n);
  });

  behave("the list names every lease", async ({ etcd }) => {
    const ids: bigint[] = [];
    for (let i = 0; i < 3; i++) ids.push((await etcd.ask(lease.leaseGrant, { TTL: 600n })).ID);
    const listed = await etcd.ask(lease.leaseLeases, {});
    expectWholeHeader(listed);
    expect(listed.leases.map((one) => one.ID)).toEqual(expect.arrayContaining(ids));
    for (const ID of ids) await etcd.ask(lease.leaseRevoke, { ID });
  });

  behave("a keepalive is answered with what is granted, and really renews", async ({ etcd }) => {
    const { ID } = await etcd.ask(lease.leaseGrant, { TTL: 20n });
    using stream = etcd.stream(lease.leaseKeepAlive);
    for (let i = 0; i < 3; i++) {
      stream.send({ ID });
      const answer = await stream.next();
      expectWholeHeader(answer);
      expect(answer.ID).toBe(ID);
      // A shared renewal tells what is left of it, never more.
      expect(answer.TTL).toBeGreaterThanOrEqual(16n);
      expect(answer.TTL).toBeLessThanOrEqual(20n);
    }
    expect((await etcd.ask(lease.leaseTimeToLive, { ID })).TTL).toBeGreaterThan(14n);
    await etcd.ask(lease.leaseRevoke, { ID });
  });

  behave("a keepalive of no lease answers 0 and leaves the others alone", async ({ etcd }) => {
    const { ID } = await etcd.ask(lease.leaseGrant, { TTL: 20n });
    using stream = etcd.stream(lease.leaseKeepAlive);
    for (const asked of [unknown, 0n]) {
      stream.send({ ID: asked });
      expect(await stream.next()).toMatchObject({ ID: asked, TTL: 0n });
    }
    stream.send({ ID });
    expect((await stream.next()).TTL).toBeGreaterThan(0n);
    await etcd.ask(lease.leaseRevoke, { ID });
    stream.send({ ID });
    expect(await stream.next()).toMatchObject({ ID, TTL: 0n });
  });

  behave("a keepalive with a half-close right behind is answered, then ended well", async ({ etcd }) => {
    const { ID } = await etcd.ask(lease.leaseGrant, { TTL: 20n });
    using stream = etcd.stream(lease.leaseKeepAlive);
    stream.send({ ID });
    stream.halfClose();
    expect((await stream.next()).TTL).toBeGreaterThan(0n);
    expect(await stream.ended).toMatchObject({ code: 0 });
    await etcd.ask(lease.leaseRevoke, { ID });
  });

  behave("a lease that nobody renews is gone after its time, with its keys", async ({ etcd, key }) => {
    // etcd grants no less than its election timeout and a half: 2 s here.
    const { ID, TTL } = await etcd.ask(lease.leaseGrant, { TTL: 1n });
    expect(TTL).toBeLessThanOrEqual(2n);
    await etcd.ask(kv.put, { key: key("a"), lease: ID });
    await expect.poll(async () => (await etcd.ask(kv.range, { key: key("a") })).count).toBe(0n);
  });
}
