import { expect } from "vitest";
import { bytes, type Context } from "../../src/context.ts";
import { kv, lease } from "../../src/methods.ts";
import type { Behave } from "../behave.ts";
import { put, remove } from "../writes.ts";

/** Which keys go with which lease. */
export function describeLeaseKeys(behave: Behave): void {
  behave("a key goes over to the lease it was last put with", async (context) => {
    const [first, second] = [await grant(context), await grant(context)];
    await putWith(context, "a", first);
    await putWith(context, "a", second);
    await revoke(context, first);
    expect(await isThere(context, "a")).toBe(true);
    await revoke(context, second);
    expect(await isThere(context, "a")).toBe(false);
  });

  behave("a lease takes all its keys with it at one revision, and no other's", async (context) => {
    const [first, second] = [await grant(context), await grant(context)];
    for (const name of ["a", "b", "c"]) await putWith(context, name, first);
    await putWith(context, "d", second);
    const { header } = await context.etcd.ask(lease.leaseRevoke, { ID: first });
    for (const name of ["a", "b", "c"]) expect(await isThere(context, name)).toBe(false);
    expect(await isThere(context, "d")).toBe(true);
    expect(await put(context, "after")).toBe((header?.revision ?? 0n) + 1n);
    await revoke(context, second);
  });

  behave("a key that was deleted is no longer the lease's", async (context) => {
    const ID = await grant(context);
    await putWith(context, "a", ID);
    await remove(context, "a");
    expect((await context.etcd.ask(lease.leaseTimeToLive, { ID, keys: true })).keys).toEqual([]);
    await put(context, "a", "of nobody");
    await revoke(context, ID);
    expect(await isThere(context, "a")).toBe(true);
  });

  behave("a transaction puts with a lease", async (context) => {
    const { etcd, key } = context;
    const ID = await grant(context);
    const value = { key: key("a"), value: bytes("1"), lease: ID };
    await etcd.ask(kv.txn, { success: [{ request: { case: "requestPut", value } }] });
    expect((await etcd.ask(kv.range, { key: key("a") })).kvs[0]?.lease).toBe(ID);
    await revoke(context, ID);
    expect(await isThere(context, "a")).toBe(false);
  });

  behave("two streams renew one lease, and the end of one is not that of the other", async (context) => {
    const { etcd } = context;
    const ID = await grant(context);
    using staying = etcd.stream(lease.leaseKeepAlive);
    {
      using leaving = etcd.stream(lease.leaseKeepAlive);
      for (const stream of [staying, leaving]) {
        stream.send({ ID });
        expect((await stream.next()).TTL).toBeGreaterThan(0n);
      }
    }
    staying.send({ ID });
    expect((await staying.next()).TTL).toBeGreaterThan(0n);
    await revoke(context, ID);
    staying.send({ ID });
    expect((await staying.next()).TTL).toBe(0n);
  });
}

async function grant({ etcd }: Context): Promise<bigint> {
  return (await etcd.ask(lease.leaseGrant, { TTL: 600n })).ID;
}

async function revoke({ etcd }: Context, ID: bigint): Promise<void> {
  await etcd.ask(lease.leaseRevoke, { ID });
}

async function putWith({ etcd, key }: Context, name: string, ID: bigint): Promise<void> {
  await etcd.ask(kv.put, { key: key(name), value: bytes("v"), lease: ID });
}

async function isThere({ etcd, key }: Context, name: string): Promise<boolean> {
  return (await etcd.ask(kv.range, { key: key(name) })).count === 1n;
}
