import { Event_EventType, WatchCreateRequest_FilterType } from "@etcd-edge/proto";
import { expect } from "vitest";
import { bytes } from "../../src/context.ts";
import { kv, lease } from "../../src/methods.ts";
import type { Behave } from "../behave.ts";
import { put, putOp, putTogether, remove } from "../writes.ts";
import { prefixOf, shorten, WatchSession } from "./watch-session.ts";

const { NOPUT, NODELETE } = WatchCreateRequest_FilterType;

/** What events look like: their fields, filters, prev_kv, one revision never split, fragments. */
export function describeTelling(behave: Behave): void {
  behave("events tell creation, change and deletion apart", async (context) => {
    using session = new WatchSession(context);
    await session.created({ key: context.key("a") });
    const first = await put(context, "a", "1");
    await put(context, "a", "2");
    const third = await remove(context, "a");
    const fourth = await put(context, "a", "3");
    const [created, changed, deleted, again] = await session.events(4);
    expect(created?.kv).toMatchObject({ createRevision: first, modRevision: first, version: 1n });
    expect(changed?.kv).toMatchObject({ createRevision: first, version: 2n, value: bytes("2") });
    expect(deleted).toMatchObject({
      type: Event_EventType.DELETE,
      kv: { modRevision: third, createRevision: 0n, version: 0n, value: { length: 0 } },
    });
    expect(again?.kv).toMatchObject({ createRevision: fourth, modRevision: fourth, version: 1n });
    for (const event of [created, changed, deleted, again]) expect(event?.prevKv).toBeUndefined();
  });

  behave("an empty value is a put, and keys and values are bytes", async (context) => {
    using session = new WatchSession(context);
    await session.created(prefixOf(context, ""));
    await put(context, "empty", "");
    const odd = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const key = Buffer.concat([context.key("odd"), odd]);
    await context.etcd.ask(kv.put, { key, value: odd });
    const [empty, binary] = await session.events(2);
    expect(empty).toMatchObject({ type: Event_EventType.PUT, kv: { value: { length: 0 } } });
    expect(binary?.kv).toMatchObject({ key, value: odd });
  });

  behave("an event names the lease; its end deletes the key for watchers", async (context) => {
    const { ID } = await context.etcd.ask(lease.leaseGrant, { TTL: 600n });
    using session = new WatchSession(context);
    await session.created({ key: context.key("a"), prevKv: true });
    await context.etcd.ask(kv.put, { key: context.key("a"), value: bytes("1"), lease: ID });
    await context.etcd.ask(lease.leaseRevoke, { ID });
    const [written, deleted] = await session.events(2);
    expect(written?.kv?.lease).toBe(ID);
    expect(deleted).toMatchObject({ type: Event_EventType.DELETE, prevKv: { value: bytes("1"), lease: ID } });
  });

  behave("prev_kv is given to those who asked, and to nobody else", async (context) => {
    using session = new WatchSession(context);
    const key = context.key("a");
    await session.created({ key, prevKv: true, watchId: 1n });
    await session.created({ key, watchId: 2n });
    await session.created({ ...prefixOf(context, "a"), prevKv: true, watchId: 3n });
    const revision = await put(context, "a", "1");
    await put(context, "a", "2");
    await remove(context, "a");
    const seen = new Map<bigint, (string | undefined)[]>([1n, 2n, 3n].map((id) => [id, []]));
    while ([...seen.values()].some((values) => values.length < 3)) {
      const { watchId, events } = await session.next();
      for (const { prevKv } of events) {
        seen.get(watchId)?.push(prevKv === undefined ? undefined : new TextDecoder().decode(prevKv.value));
        if (prevKv !== undefined) expect(prevKv).toMatchObject({ key, createRevision: revision });
      }
    }
    for (const id of [1n, 3n]) expect(seen.get(id)).toEqual([undefined, "1", "2"]);
    expect(seen.get(2n)).toEqual([undefined, undefined, undefined]);
  });

  behave("prev_kv is filled in for events of the past too", async (context) => {
    const start = await put(context, "a", "1");
    await put(context, "a", "2");
    await remove(context, "a");
    using session = new WatchSession(context);
    await session.created({ key: context.key("a"), startRevision: start, prevKv: true });
    const events = await session.events(3);
    expect(events.map((event) => event.prevKv?.value)).toEqual([undefined, bytes("1"), bytes("2")]);
  });

  behave("filters leave out puts, or deletions, or both", async (context) => {
    using session = new WatchSession(context);
    const key = context.key("a");
    await session.created({ key, filters: [NOPUT], watchId: 1n });
    await session.created({ key, filters: [NODELETE], watchId: 2n });
    await session.created({ key, filters: [NOPUT, NODELETE], watchId: 3n });
    await session.created({ key, watchId: 4n });
    await put(context, "a", "1");
    await remove(context, "a");
    await put(context, "a", "2");
    await remove(context, "a");
    await put(context, "a", "3");
    const seen = new Map<bigint, string[]>();
    const count = (): number => [...seen.values()].flat().length;
    while (count() < 2 + 3 + 5) {
      const { watchId, events } = await session.nextEventsOfAny();
      seen.set(watchId, [...(seen.get(watchId) ?? []), ...shorten(context, events)]);
    }
    expect(seen.get(1n)).toEqual(["DELETE a", "DELETE a"]);
    expect(seen.get(2n)).toEqual(["PUT a=1", "PUT a=2", "PUT a=3"]);
    expect(seen.get(4n)).toHaveLength(5);
    expect(seen.has(3n)).toBe(false);
  });

  behave("filters hold for the past as well", async (context) => {
    const start = await put(context, "a", "1");
    await remove(context, "a");
    await put(context, "a", "2");
    using session = new WatchSession(context);
    await session.created({ key: context.key("a"), startRevision: start, filters: [NOPUT] });
    await remove(context, "a");
    expect(shorten(context, await session.events(2))).toEqual(["DELETE a", "DELETE a"]);
  });

  behave(
    "what is written at one revision comes in one answer, in the order of the transaction",
    async (context) => {
      using session = new WatchSession(context);
      await session.created(prefixOf(context, ""));
      const names = ["c", "a", "b"];
      const revision = await putTogether(context, names);
      const answer = await session.nextEvents();
      expect(shorten(context, answer.events)).toEqual(names.map((name) => `PUT ${name}=v`));
      expect(answer.header?.revision).toBe(revision);
      for (const event of answer.events) expect(event.kv?.modRevision).toBe(revision);
    },
  );

  behave("puts and deletions of one transaction stay together", async (context) => {
    await putTogether(context, ["a", "b"]);
    using session = new WatchSession(context);
    const range = prefixOf(context, "");
    await session.created(range);
    await context.etcd.ask(kv.txn, {
      success: [
        putOp(context, "c", "1"),
        {
          request: {
            case: "requestDeleteRange",
            value: { key: context.key("a"), rangeEnd: context.key("c") },
          },
        },
        putOp(context, "d", "2"),
      ],
    });
    const { events } = await session.nextEvents();
    expect(shorten(context, events)).toEqual(["PUT c=1", "DELETE a", "DELETE b", "PUT d=2"]);
  });

  behave("500 deletions of one revision are not split, live or replayed", async (context) => {
    const names = Array.from({ length: 500 }, (_, i) => `k${String(i).padStart(3, "0")}`);
    for (let i = 0; i < names.length; i += 100) await putTogether(context, names.slice(i, i + 100));
    using live = new WatchSession(context);
    const range = prefixOf(context, "k");
    await live.created(range);
    const { header } = await context.etcd.ask(kv.deleteRange, range);
    using late = new WatchSession(context);
    await late.created({ ...range, startRevision: header?.revision ?? 0n });
    for (const session of [live, late]) {
      const { events, fragment } = await session.nextEvents();
      expect(fragment).toBe(false);
      expect(shorten(context, events)).toEqual(names.map((name) => `DELETE ${name}`));
    }
  });

  behave("one large revision is one answer, or fragments for those who allow them", async (context) => {
    const value = new Uint8Array(700_000).fill(120);
    const names = ["k1", "k2", "k3", "k4", "k5"];
    for (const name of names) await context.etcd.ask(kv.put, { key: context.key(name), value });
    using whole = new WatchSession(context);
    using split = new WatchSession(context);
    const range = prefixOf(context, "k");
    await whole.created({ ...range, prevKv: true });
    await split.created({ ...range, prevKv: true, fragment: true });
    await context.etcd.ask(kv.deleteRange, range);
    const { events, fragment } = await whole.nextEvents();
    expect(fragment).toBe(false);
    expect(events).toHaveLength(names.length);
    const parts = [await split.nextEvents()];
    while (parts.at(-1)?.fragment) parts.push(await split.nextEvents());
    expect(parts.length).toBeGreaterThan(1);
    const all = parts.flatMap((part) => part.events);
    expect(shorten(context, all)).toEqual(names.map((name) => `DELETE ${name}`));
    expect(all.every((event) => event.prevKv?.value.length === value.length)).toBe(true);
    await put(context, "k1", "after");
    for (const session of [whole, split]) {
      expect(shorten(context, await session.events(1))).toEqual(["PUT k1=after"]);
    }
  });

  behave("fragments are for large answers only", async (context) => {
    using session = new WatchSession(context);
    await session.created({ ...prefixOf(context, ""), fragment: true });
    await putTogether(context, ["a", "b"]);
    const { events, fragment } = await session.nextEvents();
    expect(events).toHaveLength(2);
    expect(fragment).toBe(false);
  });
}
