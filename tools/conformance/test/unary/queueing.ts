import { expect } from "vitest";
import { bytes, type Context } from "../../src/context.ts";
import { election, kv, lease, lock } from "../../src/methods.ts";
import type { Behave } from "../behave.ts";

/** Who waits for a lock or a seat, and what becomes of those who give up. */
export function describeQueueing(behave: Behave): void {
  behave("waiters for a lock get it in the order they came", async (context) => {
    const { etcd } = context;
    const name = context.key("mutex");
    const order: number[] = [];
    const held = await etcd.ask(lock.lock, { name, lease: await grant(context) });
    const waiters: Promise<void>[] = [];
    for (const number of [1, 2, 3]) {
      const waiting = etcd.ask(lock.lock, { name, lease: await grant(context) }, { deadlineMs: 30_000 });
      waiters.push(
        waiting.then(async ({ key }) => {
          order.push(number);
          await etcd.ask(lock.unlock, { key });
        }),
      );
      await waitersOf(context, "mutex", number + 1);
    }
    await etcd.ask(lock.unlock, { key: held.key });
    await Promise.all(waiters);
    expect(order).toEqual([1, 2, 3]);
  });

  behave("who gives up waiting is out of the queue", async (context) => {
    const { etcd } = context;
    const name = context.key("mutex");
    const held = await etcd.ask(lock.lock, { name, lease: await grant(context) });
    const giveUp = new AbortController();
    // Not by a deadline: etcd, which knows it, too, may be first to say so, and says CANCELLED or DEADLINE_EXCEEDED.
    const waiting = etcd.refusal(lock.lock, { name, lease: await grant(context) }, { signal: giveUp.signal });
    await waitersOf(context, "mutex", 2);
    giveUp.abort();
    expect((await waiting).code).toBe(1);
    await waitersOf(context, "mutex", 1);
    await etcd.ask(lock.unlock, { key: held.key });
  });

  behave("a seat is not taken by a longer name", async (context) => {
    const { etcd } = context;
    await etcd.ask(kv.put, { key: context.key("seata"), value: bytes("no candidate") });
    const won = await etcd.ask(election.campaign, {
      name: context.key("seat"),
      lease: await grant(context),
      value: bytes("me"),
    });
    expect(won.leader?.name).toEqual(context.key("seat"));
  });

  behave("a seat goes to the next when its holder's lease ends", async (context) => {
    const { etcd } = context;
    const name = context.key("seat");
    const [first, second] = [await grant(context), await grant(context)];
    await etcd.ask(election.campaign, { name, lease: first, value: bytes("one") });
    const waiting = etcd.ask(
      election.campaign,
      { name, lease: second, value: bytes("two") },
      { deadlineMs: 30_000 },
    );
    await waitersOf(context, "seat", 2);
    await etcd.ask(lease.leaseRevoke, { ID: first });
    await waiting;
    expect((await etcd.ask(election.leader, { name })).kv).toMatchObject({
      value: bytes("two"),
      lease: second,
    });
  });

  behave("a candidate may campaign again, and keeps its place", async (context) => {
    const { etcd } = context;
    const name = context.key("seat");
    const ID = await grant(context);
    const first = await etcd.ask(election.campaign, { name, lease: ID, value: bytes("one") });
    const again = await etcd.ask(election.campaign, { name, lease: ID, value: bytes("two") });
    expect(again.leader).toMatchObject({ key: first.leader?.key, rev: first.leader?.rev });
    expect((await etcd.ask(election.leader, { name })).kv?.value).toEqual(bytes("two"));
  });
}

async function grant({ etcd }: Context): Promise<bigint> {
  return (await etcd.ask(lease.leaseGrant, { TTL: 600n })).ID;
}

/**
 * Waits until so many stand in line, the holder among them: each has a key under the name. Asked of etcd itself, because a
 * namespace leaves the names of locks and seats alone, as that of etcd's own proxy does.
 */
async function waitersOf(context: Context, name: string, count: number): Promise<void> {
  using direct = context.open.connectDirectly();
  const range = { key: context.key(`${name}/`), rangeEnd: context.key(`${name}0`) };
  await expect
    .poll(async () => (await direct.ask(kv.range, { ...range, countOnly: true })).count)
    .toBe(BigInt(count));
}
