import { expect } from "vitest";
import { progressIntervalMs } from "../../src/open-place.ts";
import type { Behave } from "../behave.ts";
import { put, storeRevision } from "../writes.ts";
import { prefixOf, shorten, WatchSession } from "./watch-session.ts";

/** Progress: asked for by the stream, or told from time to time to watches that want it. */
export function describeProgressing(behave: Behave): void {
  behave(
    "a progress request is answered for the whole stream, behind all events up to its revision",
    async (context) => {
      using session = new WatchSession(context);
      await session.created(prefixOf(context, ""));
      await session.created({ key: context.key("a") });
      const seen = new Map<bigint, bigint>();
      let told = 0n;
      for (let round = 0; round < 5; round++) {
        const revision = await put(context, "a", `${round}`);
        session.askProgress();
        let answer = await session.next();
        while (answer.events.length > 0) {
          seen.set(answer.watchId, answer.header?.revision ?? 0n);
          answer = await session.next();
        }
        expect(answer).toMatchObject({ watchId: -1n, created: false, canceled: false, events: [] });
        const upTo = answer.header?.revision ?? 0n;
        expect(upTo).toBeGreaterThanOrEqual(told);
        told = upTo;
        if (context.has({ 3.4: 31, 3.5: 13 })) {
          // Sound there: what is at or below the revision has been told.
          for (const id of [0n, 1n]) if (upTo >= revision) expect(seen.get(id)).toBe(revision);
        } else {
          while ([...seen.values()].filter((last) => last === revision).length < 2) {
            const late = await session.nextEventsOfAny();
            seen.set(late.watchId, late.header?.revision ?? 0n);
          }
        }
      }
    },
  );

  behave("progress catches up with the store although nothing happens in the range", async (context) => {
    using session = new WatchSession(context);
    await session.created({ key: context.key("idle") });
    const revision = await put(context, "elsewhere");
    // A member may lag: ask until it is there.
    await expect
      .poll(async () => {
        session.askProgress();
        const answer = await session.next();
        expect(answer).toMatchObject({ watchId: -1n, events: [] });
        return answer.header?.revision ?? 0n;
      })
      .toBeGreaterThanOrEqual(revision);
  });

  behave("progress comes by itself to watches that asked for it, and to no others", async (context) => {
    using session = new WatchSession(context);
    const range = prefixOf(context, "");
    await session.created({ ...range, progressNotify: true, watchId: 1n });
    await session.created({ ...range, watchId: 2n });
    const revision = await storeRevision(context);
    for (let i = 0; i < 2; i++) {
      const answer = await session.next();
      expect(answer).toMatchObject({ watchId: 1n, created: false, canceled: false, events: [] });
      expect(answer.header?.revision).toBeGreaterThanOrEqual(revision);
      expect(answer.header?.clusterId).not.toBe(0n);
    }
  });

  behave("progress never goes back, and events stay ahead of it", async (context) => {
    using session = new WatchSession(context);
    await session.created({ key: context.key("a"), progressNotify: true });
    let told = 0n;
    const until = performance.now() + 2 * progressIntervalMs;
    let last = 0n;
    while (performance.now() < until) {
      last = await put(context, "a");
      let answer = await session.next();
      while (answer.events.length === 0) {
        expect(answer.header?.revision).toBeGreaterThanOrEqual(told);
        told = answer.header?.revision ?? 0n;
        answer = await session.next();
      }
      expect(answer.events[0]?.kv?.modRevision).toBeGreaterThan(told);
    }
    let answer = await session.next();
    while (answer.header !== undefined && answer.header.revision < last) answer = await session.next();
    expect(answer.events).toEqual([]);
  });

  behave("an answer to progress carries no event of a watch that is created meanwhile", async (context) => {
    const startRevision = await storeRevision(context);
    using session = new WatchSession(context);
    await session.created({ key: context.key("a") });
    for (let i = 0; i < 20; i++) session.askProgress();
    session.create({ key: context.key("b"), watchId: 3n, startRevision });
    await put(context, "b", "1");
    let isCreated = false;
    for (;;) {
      const answer = await session.next();
      if (answer.watchId === -1n) continue;
      expect(answer.watchId).toBe(3n);
      if (answer.created) isCreated = true;
      else {
        expect(isCreated).toBe(true);
        expect(shorten(context, answer.events)).toEqual(["PUT b=1"]);
        break;
      }
    }
  });
}
