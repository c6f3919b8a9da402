import { expect } from "vitest";
import { fetchMetrics } from "../../src/fetch-metrics.ts";
import type { Behave } from "../behave.ts";
import { put, storeRevision } from "../writes.ts";
import { prefixOf, shorten, WatchSession } from "./watch-session.ts";

/** Cancelling, half-closing, many watches and many streams. */
export function describeEnding(behave: Behave): void {
  behave(
    "a cancelled watch is answered once, at the revision of the store, and tells nothing more",
    async (context) => {
      using session = new WatchSession(context);
      await session.created({ key: context.key("a"), watchId: 1n });
      await session.created({ key: context.key("a"), watchId: 2n });
      const revision = await put(context, "a", "1");
      await session.nextEventsOfAny();
      await session.nextEventsOfAny();
      session.cancel(1n);
      const answer = await session.next();
      expect(answer).toMatchObject({
        watchId: 1n,
        created: false,
        canceled: true,
        cancelReason: "",
        compactRevision: 0n,
        events: [],
      });
      expect(answer.header?.revision).toBeGreaterThanOrEqual(revision);
      for (const value of ["2", "3"]) {
        await put(context, "a", value);
        expect(shorten(context, await session.events(1, 2n))).toEqual([`PUT a=${value}`]);
      }
    },
  );

  behave("a watch of the past may be cancelled while it is replayed", async (context) => {
    const start = await put(context, "a", "0");
    for (let i = 1; i < 200; i++) await put(context, "a", `${i}`);
    using session = new WatchSession(context);
    session.create({ key: context.key("a"), startRevision: start });
    session.cancel(0n);
    let answer = await session.next();
    expect(answer).toMatchObject({ created: true, canceled: false });
    while (!answer.canceled) answer = await session.next();
    expect(answer).toMatchObject({ watchId: 0n, compactRevision: 0n, cancelReason: "" });
    expect((await session.created({ key: context.key("b") })).watchId).toBe(1n);
    await put(context, "a", "unseen");
    await put(context, "b", "seen");
    expect(shorten(context, await session.events(1, 1n))).toEqual(["PUT b=seen"]);
  });

  behave("cancelling an id that nobody has is not answered", async (context) => {
    using session = new WatchSession(context);
    session.cancel(5n);
    session.cancel(-1n);
    await session.created({ key: context.key("a") });
    session.cancel(0n);
    session.cancel(0n);
    expect(await session.next()).toMatchObject({ watchId: 0n, canceled: true });
    expect((await session.created({ key: context.key("a") })).watchId).toBe(1n);
    expect(session.stream.unread).toEqual([]);
  });

  behave("a client that half-closes keeps its watches", async (context) => {
    using session = new WatchSession(context);
    await session.created({ key: context.key("a") });
    session.stream.halfClose();
    for (const value of ["1", "2", "3"]) {
      await put(context, "a", value);
      expect(shorten(context, await session.events(1))).toEqual([`PUT a=${value}`]);
    }
  });

  behave("a client may half-close right behind its request", async (context) => {
    const start = await put(context, "a", "1");
    using session = new WatchSession(context);
    session.create({ key: context.key("a"), startRevision: start });
    session.stream.halfClose();
    expect(await session.next()).toMatchObject({ created: true, canceled: false });
    expect(shorten(context, await session.events(1))).toEqual(["PUT a=1"]);
  });

  behave("each of many watches on one stream gets its own events, once", async (context) => {
    using session = new WatchSession(context);
    for (let i = 0n; i < 4n; i++) await session.created({ key: context.key("a"), watchId: 10n + i });
    await session.created({ ...prefixOf(context, ""), watchId: 20n });
    await put(context, "a", "1");
    await put(context, "b", "2");
    const seen = new Map<bigint, string[]>();
    while ([...seen.values()].flat().length < 4 + 2) {
      const { watchId, events } = await session.nextEventsOfAny();
      seen.set(watchId, [...(seen.get(watchId) ?? []), ...shorten(context, events)]);
    }
    for (let i = 0n; i < 4n; i++) expect(seen.get(10n + i)).toEqual(["PUT a=1"]);
    expect(seen.get(20n)).toEqual(["PUT a=1", "PUT b=2"]);
  });

  behave("each of many streams gets the event, with its own ids", async (context) => {
    const sessions = Array.from({ length: 20 }, () => new WatchSession(context));
    for (const session of sessions) await session.created({ key: context.key("a") });
    const revision = await put(context, "a", "1");
    for (const session of sessions) {
      const { events, watchId } = await session.nextEvents();
      expect(watchId).toBe(0n);
      expect(events.map((event) => event.kv?.modRevision)).toEqual([revision]);
      session[Symbol.dispose]();
    }
  });

  behave("one watch's end takes nothing from others that overlap it", async (context) => {
    using first = new WatchSession(context);
    using second = new WatchSession(context);
    const start = await storeRevision(context);
    for (let round = 0; round < 30; round++) {
      const id = BigInt(round + 1);
      first.create({ key: context.key("a"), startRevision: start, watchId: id });
      second.create({ key: context.key("a"), startRevision: start, watchId: id });
      expect(await second.next()).toMatchObject({ created: true, watchId: id });
      first.cancel(id);
    }
    const revision = await put(context, "a", "1");
    const seen = new Set<bigint>();
    while (seen.size < 30) {
      const { watchId, events } = await second.nextEventsOfAny();
      expect(events.map((event) => event.kv?.modRevision)).toEqual([revision]);
      seen.add(watchId);
    }
  });

  behave(
    "etcd is rid of a watch that was cancelled, and of those of a stream that is gone",
    async (context) => {
      const before = await watchersOfEtcd(context.open.cluster.members);
      {
        using session = new WatchSession(context);
        for (let i = 0; i < 200; i++) {
          const { watchId } = await session.created({ key: context.key("a") });
          if (i % 2 === 0) continue;
          session.cancel(watchId);
          expect(await session.next()).toMatchObject({ watchId, canceled: true });
        }
      }
      await expect.poll(() => watchersOfEtcd(context.open.cluster.members)).toBeLessThanOrEqual(before + 1);
    },
  );
}

/** Watches that etcd holds, over all members. */
async function watchersOfEtcd(members: readonly { readonly clientUrl: string }[]): Promise<number> {
  let total = 0;
  for (const { clientUrl } of members) {
    const text = await fetchMetrics(clientUrl);
    total += Number(/^etcd_debugging_mvcc_watcher_total (\S+)$/m.exec(text)?.[1]);
  }
  return total;
}
