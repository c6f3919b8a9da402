import { expect } from "vitest";
import type { Context } from "../../src/context.ts";
import { kv } from "../../src/methods.ts";
import type { Behave } from "../behave.ts";
import { put, putTogether, remove, storeRevision } from "../writes.ts";
import { prefixOf, shorten, WatchSession } from "./watch-session.ts";

const compacted = "etcdserver: mvcc: required revision has been compacted";

function isThroughProxy(context: Context): boolean {
  return context.open.place.door !== "direct";
}

/** Where a watch starts: now, in the past, in the future, before what is compacted. */
export function describeStarting(behave: Behave): void {
  behave("from now on means after the created answer, and nothing before", async (context) => {
    using session = new WatchSession(context);
    const { header } = await session.created({ key: context.key("a") });
    const revision = await put(context, "a", "1");
    expect(revision).toBeGreaterThan(header?.revision ?? 0n);
    const answer = await session.nextEvents();
    expect(answer.header?.revision).toBe(revision);
    expect(answer.events.map((event) => event.kv?.modRevision)).toEqual([revision]);
  });

  behave("one put is one answer to a watch that keeps up", async (context) => {
    using session = new WatchSession(context);
    await session.created({ key: context.key("a") });
    for (let i = 0; i < 5; i++) {
      const revision = await put(context, "a", `${i}`);
      const answer = await session.nextEvents();
      expect(shorten(context, answer.events)).toEqual([`PUT a=${i}`]);
      expect(answer.header?.revision).toBe(revision);
    }
  });

  behave("a past start replays from that revision on, then goes on with what happens", async (context) => {
    await put(context, "a", "0");
    const start = await put(context, "a", "1");
    await put(context, "b", "other");
    await put(context, "a", "2");
    await remove(context, "a");
    using session = new WatchSession(context);
    await session.created({ key: context.key("a"), startRevision: start });
    expect(shorten(context, await session.events(3))).toEqual(["PUT a=1", "PUT a=2", "DELETE a"]);
    await put(context, "a", "3");
    expect(shorten(context, await session.events(1))).toEqual(["PUT a=3"]);
  });

  behave("the start is the first revision told, also where it is the store's own", async (context) => {
    await put(context, "a", "0");
    const last = await put(context, "a", "1");
    using session = new WatchSession(context);
    await session.created({ key: context.key("a"), startRevision: last });
    await session.created({ key: context.key("a"), startRevision: last + 1n });
    expect(shorten(context, await session.events(1, 0n))).toEqual(["PUT a=1"]);
    await put(context, "a", "2");
    const byId = new Map<bigint, string[]>();
    for (let i = 0; i < 2; i++) {
      const { watchId, events } = await session.next();
      byId.set(watchId, shorten(context, events));
    }
    expect(byId).toEqual(new Map([0n, 1n].map((id) => [id, ["PUT a=2"]])));
  });

  behave("a future start is created at once and tells nothing before its revision", async (context) => {
    const start = (await storeRevision(context)) + 3n;
    using session = new WatchSession(context);
    const { header } = await session.created({ key: context.key("a"), startRevision: start });
    expect(header?.revision).toBeLessThan(start);
    for (let i = 1; i <= 4; i++) await put(context, "a", `${i}`);
    const answer = await session.nextEvents();
    expect(answer.events[0]?.kv?.modRevision).toBe(start);
    expect(shorten(context, answer.events)[0]).toBe("PUT a=3");
    if (answer.events.length === 1) expect(shorten(context, await session.events(1))).toEqual(["PUT a=4"]);
  });

  behave("a negative start is refused as compacted", async (context) => {
    const revision = await put(context, "a");
    await context.etcd.ask(kv.compact, { revision, physical: true });
    using session = new WatchSession(context);
    session.create({ key: context.key("a"), startRevision: -1n });
    const answer = await session.next();
    if (context.has({ 3.4: 38, 3.5: 24, 3.6: 6 })) {
      expect(answer).toMatchObject({ watchId: -1n, created: true, canceled: true, cancelReason: compacted });
    } else {
      // Taken for a revision like any other by those that do not know the case.
      expect(answer).toMatchObject({ watchId: 0n, created: true, canceled: false });
      const next = await session.next();
      expect(next).toMatchObject({
        watchId: 0n,
        canceled: true,
        compactRevision: revision,
        cancelReason: "",
      });
    }
    expect((await session.created({ key: context.key("a") })).watchId).toBeGreaterThanOrEqual(0n);
  });

  behave(
    "a start before what is compacted is created, then cancelled with that revision",
    async (context) => {
      const start = await put(context, "a", "1");
      const revision = await put(context, "a", "2");
      await context.etcd.ask(kv.compact, { revision, physical: true });
      using session = new WatchSession(context);
      await session.created({ key: context.key("a"), startRevision: start });
      const answer = await session.next();
      expect(answer).toMatchObject({
        watchId: 0n,
        created: false,
        canceled: true,
        compactRevision: revision,
        // The number says it all; etcd gives no text beside it.
        cancelReason: "",
        events: [],
      });
      // The stream lives, for others and for new ones.
      expect((await session.created({ key: context.key("a") })).watchId).toBe(1n);
      await put(context, "a", "3");
      expect(shorten(context, await session.events(1, 1n))).toEqual(["PUT a=3"]);
    },
  );

  behave("a watch on what is compacted takes nothing from others of the same range", async (context) => {
    const start = await put(context, "a", "1");
    const revision = await put(context, "a", "2");
    await context.etcd.ask(kv.compact, { revision, physical: true });
    using living = new WatchSession(context);
    await living.created({ key: context.key("a") });
    using dead = new WatchSession(context);
    await dead.created({ key: context.key("a"), startRevision: start });
    expect(await dead.next()).toMatchObject({ canceled: true, compactRevision: revision });
    using late = new WatchSession(context);
    await late.created({ key: context.key("a") });
    for (const value of ["3", "4"]) {
      await put(context, "a", value);
      for (const session of [living, late]) {
        expect(shorten(context, await session.events(1))).toEqual([`PUT a=${value}`]);
      }
    }
  });

  behave("the compact revision itself may still be watched from", async (context) => {
    await put(context, "a", "1");
    const revision = await put(context, "a", "2");
    await put(context, "a", "3");
    await context.etcd.ask(kv.compact, { revision, physical: true });
    using session = new WatchSession(context);
    await session.created({ key: context.key("a"), startRevision: revision });
    if (isThroughProxy(context) && !context.has({ 3.4: 36, 3.5: 18 })) {
      // Such an etcd leaves out deletes at that very revision: our proxy says so instead of losing them (rule 5).
      expect(await session.next()).toMatchObject({ canceled: true, compactRevision: revision + 1n });
      return;
    }
    expect(shorten(context, await session.events(2))).toEqual(["PUT a=2", "PUT a=3"]);
  });

  behave("a compaction leaves a watch that keeps up alone", async (context) => {
    using session = new WatchSession(context);
    await session.created({ key: context.key("a") });
    await put(context, "a", "1");
    expect(shorten(context, await session.events(1))).toEqual(["PUT a=1"]);
    const revision = await put(context, "b");
    await context.etcd.ask(kv.compact, { revision, physical: true });
    await put(context, "a", "2");
    expect(shorten(context, await session.events(1))).toEqual(["PUT a=2"]);
  });

  behave("1,500 revisions of the past come whole beside a live watch of the same range", async (context) => {
    const history = 1_500;
    using live = new WatchSession(context);
    const range = prefixOf(context, "k");
    await live.created(range);
    const first = await put(context, "k", "0");
    const rest = Array.from({ length: history - 1 }, (_, i) => i + 1);
    // In batches, so that they are all in the air together and yet not all at once.
    for (let i = 0; i < rest.length; i += 500) {
      await Promise.all(rest.slice(i, i + 500).map((n) => put(context, "k", `${n}`)));
    }
    using late = new WatchSession(context);
    await late.created({ ...range, startRevision: first });
    const seen = await late.events(history);
    expect(seen.map((event) => event.kv?.version)).toEqual(seen.map((_, i) => BigInt(i + 1)));
    expect((await live.events(history)).length).toBe(history);
    await put(context, "k", "end");
    for (const session of [live, late]) {
      expect(shorten(context, await session.events(1))).toEqual(["PUT k=end"]);
    }
  });

  behave("watches opened while others write miss nothing from their created revision on", async (context) => {
    const writes = 60;
    const writing = (async () => {
      let last = 0n;
      for (let i = 0; i < writes; i++) last = await put(context, "a", `${i}`);
      return last;
    })();
    const sessions: WatchSession[] = [];
    const starts: bigint[] = [];
    for (let i = 0; i < 12; i++) {
      const session = new WatchSession(context);
      sessions.push(session);
      starts.push((await session.created({ key: context.key("a") })).header?.revision ?? 0n);
    }
    const last = await writing;
    for (const [i, session] of sessions.entries()) {
      const start = starts[i] ?? 0n;
      let next: bigint | undefined;
      while ((next ?? start + 1n) <= last) {
        for (const event of (await session.nextEvents()).events) {
          const revision = event.kv?.modRevision ?? 0n;
          // etcd reads the revision of its created answer after the watch began: an event at it may follow.
          if (next === undefined) expect(revision).toBeLessThanOrEqual(start + 1n);
          else expect(revision).toBe(next);
          next = revision + 1n;
        }
      }
      session[Symbol.dispose]();
    }
  });

  behave("several keys written at one revision are replayed together", async (context) => {
    const start = await putTogether(context, ["x1", "x2", "x3"]);
    using session = new WatchSession(context);
    await session.created({ ...prefixOf(context, "x"), startRevision: start });
    const { events } = await session.nextEvents();
    expect(shorten(context, events)).toEqual(["PUT x1=v", "PUT x2=v", "PUT x3=v"]);
    expect(events.map((event) => event.kv?.modRevision)).toEqual([start, start, start]);
  });
}
