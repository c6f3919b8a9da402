import { expect } from "vitest";
import { bytes, type Context } from "../../src/context.ts";
import { election, kv, lease, lock } from "../../src/methods.ts";
import type { Behave } from "../behave.ts";
import { expectWholeHeader } from "./expectations.ts";

/** Locks and elections, which etcd runs on its own keys. */
export function describeElecting(behave: Behave): void {
  behave("a lock is the key name/lease, and the next waits for its release", async (context) => {
    const { etcd } = context;
    const name = context.key("mutex");
    const [first, second] = [await grant(context), await grant(context)];
    const held = await etcd.ask(lock.lock, { name, lease: first });
    expectWholeHeader(held);
    expect(Buffer.from(held.key).toString()).toBe(`${name}/${hex(first)}`);
    // The same holder may ask again.
    expect((await etcd.ask(lock.lock, { name, lease: first })).key).toEqual(held.key);
    let isFree = false;
    const waiting = etcd.ask(lock.lock, { name, lease: second }).then((answer) => {
      expect(isFree, "locked twice").toBe(true);
      return answer;
    });
    await etcd.ask(kv.put, { key: context.key("meanwhile") });
    isFree = true;
    expectWholeHeader(await etcd.ask(lock.unlock, { key: held.key }));
    const next = await waiting;
    expect(Buffer.from(next.key).toString()).toBe(`${name}/${hex(second)}`);
    expect(next.header?.revision).toBeGreaterThan(held.header?.revision ?? 0n);
    await etcd.ask(lock.unlock, { key: next.key });
    await etcd.ask(lock.unlock, { key: next.key });
  });

  behave("a lock is given up with its lease", async (context) => {
    const { etcd } = context;
    const name = context.key("mutex");
    const [first, second] = [await grant(context), await grant(context)];
    await etcd.ask(lock.lock, { name, lease: first });
    const waiting = etcd.ask(lock.lock, { name, lease: second });
    await etcd.ask(lease.leaseRevoke, { ID: first });
    await etcd.ask(lock.unlock, { key: (await waiting).key });
  });

  behave("a lock needs a lease that there is, an unlock a key", async ({ etcd, key }) => {
    expect(await etcd.refusal(lock.lock, { name: key("mutex"), lease: 987_654_321n })).toEqual({
      code: 2,
      message: "etcdserver: requested lease not found",
    });
    expect(await etcd.refusal(lock.unlock, {})).toEqual({
      code: 2,
      message: "etcdserver: key is not provided",
    });
  });

  behave("who campaigns leads, speaks, and resigns to the next", async (context) => {
    const { etcd } = context;
    const name = context.key("seat");
    const [first, second] = [await grant(context), await grant(context)];
    expect(await etcd.refusal(election.leader, { name })).toEqual({
      code: 2,
      message: "election: no leader",
    });
    const won = await etcd.ask(election.campaign, { name, lease: first, value: bytes("one") });
    expectWholeHeader(won);
    expect(won.leader).toMatchObject({ name, key: bytes(`${name}/${hex(first)}`), lease: first });
    expect(won.leader?.rev).toBe(won.header?.revision);
    using observer = etcd.stream(election.observe);
    observer.send({ name });
    observer.halfClose();
    expect((await observer.next()).kv).toMatchObject({ value: bytes("one"), lease: first });

    const waiting = etcd.ask(election.campaign, { name, lease: second, value: bytes("two") });
    await etcd.ask(election.proclaim, { leader: leaderOf(won), value: bytes("one again") });
    expect((await observer.next()).kv?.value).toEqual(bytes("one again"));
    const leader = await etcd.ask(election.leader, { name });
    expectWholeHeader(leader);
    expect(leader.kv).toMatchObject({ value: bytes("one again"), lease: first });

    await etcd.ask(election.resign, { leader: leaderOf(won) });
    const next = await waiting;
    expect((await observer.next()).kv).toMatchObject({ value: bytes("two"), lease: second });
    expect(await etcd.refusal(election.proclaim, { leader: leaderOf(won), value: bytes("late") })).toEqual({
      code: 2,
      message: "election: not leader",
    });
    await etcd.ask(election.resign, { leader: leaderOf(won) });
    await etcd.ask(election.resign, { leader: leaderOf(next) });
  });

  behave("who speaks or resigns must say as whom", async ({ etcd }) => {
    const refusal = { code: 2, message: '"leader" field must be provided' };
    expect(await etcd.refusal(election.proclaim, { value: bytes("x") })).toEqual(refusal);
    expect(await etcd.refusal(election.resign, {})).toEqual(refusal);
  });
}

async function grant({ etcd }: Context): Promise<bigint> {
  return (await etcd.ask(lease.leaseGrant, { TTL: 600n })).ID;
}

/** As etcd writes an id into a key: lower case, no padding. */
function hex(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16);
}

function leaderOf(answer: {
  leader?: { name: Uint8Array; key: Uint8Array; rev: bigint; lease: bigint } | undefined;
}) {
  const { name, key, rev, lease: holder } = answer.leader ?? {};
  return { name: name ?? bytes(""), key: key ?? bytes(""), rev: rev ?? 0n, lease: holder ?? 0n };
}
