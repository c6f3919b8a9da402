import { expect } from "vitest";
import { bytes } from "../../src/context.ts";
import { kv } from "../../src/methods.ts";
import type { Behave } from "../behave.ts";
import { put, storeRevision } from "../writes.ts";
import { prefixOf, shorten, WatchSession } from "./watch-session.ts";

const duplicateId = "mvcc: duplicate watch ID provided on the WatchStream";
const emptyRange = "mvcc: watcher range is empty";

/** Creating watches: what the created answer says, ids, ranges that are none. */
export function describeCreating(behave: Behave): void {
  behave("a created answer has a whole header, at the revision of the store", async (context) => {
    const before = await put(context, "a");
    using session = new WatchSession(context);
    const { header, watchId } = await session.created({ key: context.key("a") });
    expect(watchId).toBe(0n);
    expect(header?.clusterId).not.toBe(0n);
    expect(header?.memberId).not.toBe(0n);
    expect(header?.raftTerm).toBeGreaterThan(0n);
    // A member that lags may answer an older one, where several are asked in turn.
    if (context.open.place.members === 1) expect(header?.revision).toBe(before);
    expect(header?.revision).toBeGreaterThan(0n);
  });

  behave("ids count up from 0 on each stream", async (context) => {
    using first = new WatchSession(context);
    using second = new WatchSession(context);
    for (const session of [first, second]) {
      for (const id of [0n, 1n, 2n]) {
        expect((await session.created({ key: context.key("a") })).watchId).toBe(id);
      }
    }
  });

  behave("created answers come in the order of the requests, whatever they start at", async (context) => {
    const first = await put(context, "a");
    for (let i = 0; i < 5; i++) await put(context, "a");
    const starts = [0n, first, first + 3n, first + 1_000n, 0n, first + 5n, first, 0n];
    using session = new WatchSession(context);
    for (const startRevision of starts) session.create({ key: context.key("a"), startRevision });
    const ids: bigint[] = [];
    while (ids.length < starts.length) {
      const answer = await session.next();
      if (answer.created) ids.push(answer.watchId);
      else expect(ids, "events before their created answer").toContain(answer.watchId);
    }
    expect(ids).toEqual(starts.map((_, i) => BigInt(i)));
  });

  behave("a client may choose ids; ids that the server gives stay clear of them", async (context) => {
    using session = new WatchSession(context);
    const key = context.key("a");
    expect((await session.created({ key, watchId: 1n })).watchId).toBe(1n);
    expect((await session.created({ key, watchId: 1n << 40n })).watchId).toBe(1n << 40n);
    expect((await session.created({ key })).watchId).toBe(0n);
    expect((await session.created({ key })).watchId).toBe(2n);
    await put(context, "a", "seen");
    const seen = new Set<bigint>();
    while (seen.size < 4) seen.add((await session.next()).watchId);
    expect([...seen].toSorted((a, b) => Number(a - b))).toEqual([0n, 1n, 2n, 1n << 40n]);
  });

  behave("an id in use is refused, and the watch that has it goes on", async (context) => {
    using session = new WatchSession(context);
    await session.created({ key: context.key("a"), watchId: 7n });
    session.create({ key: context.key("b"), watchId: 7n });
    expect(await session.next()).toMatchObject({
      watchId: -1n,
      created: true,
      canceled: true,
      cancelReason: duplicateId,
      compactRevision: 0n,
    });
    await put(context, "b");
    await put(context, "a", "1");
    expect(shorten(context, await session.events(1, 7n))).toEqual(["PUT a=1"]);
  });

  behave("an id is free again once its watch is cancelled", async (context) => {
    using session = new WatchSession(context);
    await session.created({ key: context.key("a"), watchId: 9n });
    session.cancel(9n);
    expect(await session.next()).toMatchObject({ watchId: 9n, canceled: true });
    await session.created({ key: context.key("b"), watchId: 9n });
    await put(context, "a");
    await put(context, "b", "1");
    expect(shorten(context, await session.events(1, 9n))).toEqual(["PUT b=1"]);
  });

  behave("a range that holds nothing is refused, and the stream stays usable", async (context) => {
    using session = new WatchSession(context);
    for (const [from, to] of [
      ["a", "a"],
      ["b", "a"],
    ] as const) {
      session.create({ key: context.key(from), rangeEnd: context.key(to) });
      const answer = await session.next();
      expect(answer).toMatchObject({
        watchId: -1n,
        created: true,
        canceled: true,
        cancelReason: emptyRange,
        compactRevision: 0n,
      });
      expect(answer.header?.revision).toBeGreaterThan(0n);
    }
    await session.created({ key: context.key("a"), rangeEnd: context.key("b") });
    await put(context, "a", "1");
    expect(shorten(context, await session.events(1))).toEqual(["PUT a=1"]);
  });

  behave("a request that is none of the three is passed over", async (context) => {
    using session = new WatchSession(context);
    session.stream.send({});
    await session.created({ key: context.key("a") });
  });

  behave("a range has its first key in it and its last key not", async (context) => {
    using session = new WatchSession(context);
    await session.created({ key: context.key("b"), rangeEnd: context.key("d") });
    for (const name of ["a", "b", "bb", "c", "d", "dd"]) await put(context, name);
    await put(context, "c", "last");
    expect(shorten(context, await session.events(4))).toEqual([
      "PUT b=v",
      "PUT bb=v",
      "PUT c=v",
      "PUT c=last",
    ]);
  });

  behave("a point is not a prefix", async (context) => {
    using session = new WatchSession(context);
    await session.created({ key: context.key("a") });
    await put(context, "aa");
    await put(context, "a", "1");
    expect(shorten(context, await session.events(1))).toEqual(["PUT a=1"]);
  });

  behave("the end \\0 means all keys from the first on", async (context) => {
    using session = new WatchSession(context);
    await session.created({ key: context.key("m"), rangeEnd: bytes("\0") });
    await put(context, "l");
    await put(context, "m", "1");
    await put(context, "z", "2");
    expect(shorten(context, await session.events(2))).toEqual(["PUT m=1", "PUT z=2"]);
  });

  behave("an empty key with the end \\0 is the whole keyspace, and so is \\0 with \\0", async (context) => {
    for (const key of [bytes(""), bytes("\0")]) {
      using session = new WatchSession(context);
      await session.created({ key, rangeEnd: bytes("\0") });
      await put(context, "a", "1");
      await put(context, "z", "2");
      expect(shorten(context, await session.events(2))).toEqual(["PUT a=1", "PUT z=2"]);
    }
  });

  behave("an empty key without an end is the key \\0", async (context) => {
    using session = new WatchSession(context);
    await session.created({ key: bytes("") });
    await put(context, "a");

    await context.etcd.ask(kv.put, { key: bytes("\0"), value: bytes("zero") });
    const [event] = await session.events(1);
    expect(event?.kv).toMatchObject({ key: bytes("\0"), value: bytes("zero") });
    await context.etcd.ask(kv.deleteRange, { key: bytes("\0") });
  });

  behave("require-leader changes nothing while there is a leader", async (context) => {
    using session = new WatchSession(context, { metadata: { hasleader: "true" } });
    await session.created(prefixOf(context, ""));
    await put(context, "a", "1");
    expect(shorten(context, await session.events(1))).toEqual(["PUT a=1"]);
    expect(await storeRevision(context)).toBeGreaterThan(0n);
  });
}
