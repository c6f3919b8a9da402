import type { Clock, Timer } from "@etcd-edge/runtime";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createInProcessBus } from "../bus/in-process-bus.ts";
import {
  type AnnouncedEndpoint,
  type Announcement,
  decodeAnnouncement,
  encodeAnnouncement,
} from "./announcement.ts";
import { createAnnouncer, followAnnouncements, joinAnnouncements } from "./endpoint-announcements.ts";

function endpoint(url: string, alive = true): AnnouncedEndpoint {
  return { url, priority: 0, weight: 0, alive };
}

function announcement(publisher: string, endpoints: AnnouncedEndpoint[], version = 1): Announcement {
  return { cluster: "c", publisher, version, ttlMs: 15_000, endpoints };
}

function createManualClock(): Clock & { advance(ms: number): Promise<void> } {
  let now = 0;
  let timers: { atMs: number; fire: () => void }[] = [];
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    nowMs: () => now,
    setTimer(delayMs, fire): Timer {
      const timer = { atMs: now + delayMs, fire };
      timers.push(timer);
      return { stop: () => (timers = timers.filter((other) => other !== timer)) };
    },
    async advance(ms) {
      const until = now + ms;
      await settle();
      for (let due = next(until); due !== undefined; due = next(until)) {
        now = due.atMs;
        const { fire } = due;
        timers = timers.filter((other) => other !== due);
        fire();
        await settle();
      }
      now = until;
    },
  };
  function next(until: number) {
    return timers.filter(({ atMs }) => atMs <= until).sort((a, b) => a.atMs - b.atMs)[0];
  }
}

describe("announcements", () => {
  it("reach those who listen already and those who come later, and end when the publisher falls silent", async () => {
    const bus = createInProcessBus();
    const clock = createManualClock();
    const common = { bus, prefix: "p", cluster: "c", clock };
    const early: string[][] = [];
    using _first = followAnnouncements({
      ...common,
      onChange: (endpoints) => early.push(endpoints.map(({ url }) => url)),
    });
    const announcer = createAnnouncer({ ...common, publisher: "a" });
    announcer.update(1, [endpoint("http://x:1")]);
    await clock.advance(0);
    using late = followAnnouncements({ ...common, onChange: () => undefined });
    await clock.advance(0);
    expect(late.current()).toEqual([endpoint("http://x:1")]);
    expect(late.publishers()).toEqual(["a"]);
    await clock.advance(60_000);
    expect(late.current()).toHaveLength(1);
    announcer[Symbol.dispose]();
    await clock.advance(15_000);
    expect(late.current()).toEqual([]);
    expect(early).toEqual([["http://x:1"], []]);
  });

  it("keep clusters apart, also those whose names are no subject tokens", async () => {
    const bus = createInProcessBus();
    const clock = createManualClock();
    const follow = (cluster: string) =>
      followAnnouncements({ bus, prefix: "p", cluster, clock, onChange: () => undefined });
    using one = follow("a.b");
    using other = follow("a>b");
    using announcer = createAnnouncer({ bus, prefix: "p", cluster: "a.b", clock, publisher: "x" });
    announcer.update(1, [endpoint("h:1")]);
    await clock.advance(0);
    expect([one.current().length, other.current().length]).toEqual([1, 0]);
  });

  it("ignore an older version of the same publisher", async () => {
    const bus = createInProcessBus();
    const clock = createManualClock();
    using listener = followAnnouncements({
      bus,
      prefix: "p",
      cluster: "c",
      clock,
      onChange: () => undefined,
    });
    bus.publish("p.endpoints.c", encodeAnnouncement(announcement("a", [endpoint("new:1")], 2)));
    bus.publish("p.endpoints.c", encodeAnnouncement(announcement("a", [endpoint("old:1")], 1)));
    bus.publish("p.endpoints.c", Buffer.from("garbage"));
    await clock.advance(0);
    expect(listener.current().map(({ url }) => url)).toEqual(["new:1"]);
  });
});

describe("joinAnnouncements", () => {
  it("takes every endpoint of every publisher, alive if anybody says so, in any order of arrival", () => {
    const a = announcement("a", [endpoint("x:1", false), endpoint("y:1", true)]);
    const b = announcement("b", [endpoint("x:1", true), endpoint("z:1", false)]);
    const joined = [endpoint("x:1", true), endpoint("y:1", true), endpoint("z:1", false)];
    expect(joinAnnouncements([a, b])).toEqual(joined);
    expect(joinAnnouncements([b, a])).toEqual(joined);
  });
});

describe("decodeAnnouncement", () => {
  const port = fc.integer({ min: 0, max: 65_535 });
  const one = fc.record({
    url: fc.string({ minLength: 1 }),
    priority: port,
    weight: port,
    alive: fc.boolean(),
  });

  it("reads back what was written", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.array(one), fc.nat(), (publisher, endpoints, version) => {
        const written = announcement(publisher, endpoints, version);
        expect(decodeAnnouncement(encodeAnnouncement(written))).toEqual(written);
      }),
    );
  });

  it("takes nothing else, and never throws", () => {
    fc.assert(fc.property(fc.uint8Array(), (data) => decodeAnnouncement(data) === undefined));
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const whole = { v: 1, ...announcement("a", []) };
        const broken = { ...whole, endpoints: [value] };
        expect(decodeAnnouncement(Buffer.from(JSON.stringify(broken)))).toBeUndefined();
      }),
    );
    expect(
      decodeAnnouncement(Buffer.from(JSON.stringify({ ...announcement("a", []), v: 2 }))),
    ).toBeUndefined();
  });
});
