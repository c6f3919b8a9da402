import { create, fromBinary, toBinary, WatchRequestSchema, WatchResponseSchema } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { type StreamSink, UpstreamStream } from "../src/upstream/upstream-stream.ts";
import { gatesOf, oldestGates } from "../src/upstream/version-gates.ts";
import { ProbeError } from "../src/watch/probe-flight.ts";
import { settle } from "./fake-clock.ts";
import { bytes, events, header, ScriptedHub } from "./scripted-hub.ts";

/** A client with one watch from now on `k`, its feed live. */
async function watching(world: ScriptedHub) {
  const client = world.session();
  client.create("k");
  await settle();
  world.last.created(world.revision);
  await settle();
  return client;
}

describe("rule 1: from now on", () => {
  it("starts a feed at a quorum's revision, and drops what came before it", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    expect(world.last.request.startRevision).toBe(100n);
    world.last.say(["k@99", "k@100", "k@101"]);
    expect(client.control).toEqual(["created 0 at 100"]);
    expect(client.events).toEqual(["k@101"]);
  });

  it("asks for the revision after the create came, also when a probe is in the air", async () => {
    const world = new ScriptedHub();
    const answers: (() => void)[] = [];
    world.probe = () => new Promise((resolve) => answers.push(() => resolve(header(world.revision))));
    const [early, late] = [world.session(), world.session()];
    early.create("k");
    await settle();
    world.revision = 105n; // written while the first probe is in the air
    late.create("k");
    world.revision = 100n;
    answers.shift()?.();
    await settle();
    world.last.created();
    world.revision = 105n;
    answers.shift()?.();
    await settle();
    expect(world.probes).toHaveLength(2);
    expect([early.control, late.control]).toEqual([["created 0 at 100"], ["created 0 at 105"]]);
    world.last.say(["k@103", "k@106"]);
    expect([early.events, late.events]).toEqual([["k@103", "k@106"], ["k@106"]]);
  });

  it("is not moved by an upstream created header", async () => {
    const world = new ScriptedHub();
    const client = world.session();
    client.create("k");
    await settle();
    world.last.created(140n);
    world.last.say(["k@120"], { revision: 140n });
    world.revision = 140n;
    await settle();
    const late = world.session();
    late.create("k", { startRevision: 101n });
    await settle();
    expect(late.events).toEqual(["k@120"]);
  });
});

describe("rule 5: where an upstream watch starts", () => {
  it("one less than needed, when its stream is lost", async () => {
    const world = new ScriptedHub();
    await watching(world);
    world.last.say(["k@105"]);
    world.last.sink.onEnd({ t: "lost", code: 14, message: "gone" });
    world.revision = 110n;
    await world.clock.advance(100);
    expect(world.opened).toHaveLength(2);
    expect(world.last.request).toMatchObject({ startRevision: 105n, avoid: "m1" });
  });

  it("at the next revision where exactly the one before is compacted, on versions that are complete there", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    world.last.sink.onEnd({ t: "compacted", compactRevision: 101n });
    expect(world.last.request.startRevision).toBe(101n);
    world.last.created();
    world.last.say(["k@101"]);
    expect(client.events).toEqual(["k@101"]);
  });

  it("nowhere, on versions that are not: the watch is compacted", async () => {
    const world = new ScriptedHub();
    world.version = "3.4.23";
    const client = await watching(world);
    world.last.sink.onEnd({ t: "compacted", compactRevision: 101n });
    expect(client.control.at(-1)).toBe("canceled 0 at 0 compacted 102");
  });
});

describe("rule 15: an upstream's compacted", () => {
  it("says nothing of a feed that has covered as much: it is opened elsewhere", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    world.last.say(["k@110"]);
    world.revision = 110n;
    world.last.sink.onEnd({ t: "compacted", compactRevision: 90n });
    await world.clock.advance(1_000);
    expect(world.last.request).toMatchObject({ startRevision: 110n, avoid: "m1" });
    expect(client.control).toEqual(["created 0 at 100"]);
  });

  it("ends watchers whose next revision is gone, and no others", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    client.create("k", { startRevision: 150n });
    await settle();
    world.last.sink.onEnd({ t: "compacted", compactRevision: 120n });
    expect(client.control.at(-1)).toBe("canceled 0 at 0 compacted 120");
    world.last.created();
    world.last.say(["k@149", "k@150"]);
    expect(client.events).toEqual(["k@150"]);
  });
});

describe("rule 16: liveness is coverage", () => {
  it("moves a feed that is behind what a quorum said two seconds ago", async () => {
    const world = new ScriptedHub();
    await watching(world);
    world.revision = 110n;
    await world.clock.advance(5_000);
    expect(world.opened[0]).toMatchObject({ isCancelled: true });
    expect(world.opened[1]?.request).toMatchObject({ avoid: "m1", startRevision: 100n });
  });

  it("asks for progress before, and leaves alone what it shows to be covered", async () => {
    const world = new ScriptedHub();
    await watching(world);
    world.revision = 110n;
    await world.clock.advance(1_000);
    expect(world.last.progressRequests).toBeGreaterThan(0);
    world.last.sink.onProgress(110n);
    await world.clock.advance(10_000);
    expect(world.opened).toHaveLength(1);
  });

  it("asks the member itself where progress cannot be trusted: an idle range is not a member that is behind", async () => {
    const world = new ScriptedHub();
    world.version = "3.4.23";
    await watching(world);
    world.revision = 110n;
    world.memberRevision = 110n;
    await world.clock.advance(10_000);
    expect(world.opened).toHaveLength(1);
    world.memberRevision = 100n;
    await world.clock.advance(10_000);
    expect(world.opened.length).toBeGreaterThan(1);
  });
});

describe("rule 19: fragments", () => {
  it("shows nothing of a revision before all of it is there", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    world.last.say(["k@101", "k@102"], { isFragment: true });
    expect(client.events).toEqual(["k@101"]);
    world.last.say(["k@102", "k@103"]);
    expect(client.events).toEqual(["k@101", "k@102", "k@102", "k@103"]);
    expect(client.got.at(-1)?.events).toHaveLength(3);
  });

  it("asks again from before a revision of which only a part came", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    world.last.say(["k@101", "k@102"], { isFragment: true });
    world.revision = 102n;
    world.last.sink.onEnd({ t: "lost", code: 14, message: "gone" });
    await world.clock.advance(100);
    expect(world.last.request.startRevision).toBe(101n);
    world.last.created();
    world.last.say(["k@101", "k@102", "k@102"]);
    expect(client.events).toEqual(["k@101", "k@102", "k@102"]);
  });
});

describe("rule 20: previous values", () => {
  it("are asked upstream only while somebody wants them", async () => {
    const world = new ScriptedHub();
    await watching(world);
    expect(world.last.request.prevKv).toBe(false);
    const keen = world.session();
    keen.create("k", { prevKv: true });
    await settle();
    // One to supply the newcomer at once, one to take the place of the shared watch.
    expect(world.opened.map(({ request }) => request.prevKv)).toEqual([false, true, true]);
    for (const watch of world.opened.slice(1)) watch.created();
    for (const watch of world.opened) watch.say(["k@101"], { prev: "old" });
    expect(keen.events).toEqual(["k@101"]);
    expect(keen.got.at(-1)?.events[0]?.prevKv?.value).toEqual(bytes("old"));
    expect(world.opened.filter(({ isCancelled }) => !isCancelled)).toHaveLength(1);
    keen.cancel(0n);
    world.revision = 101n;
    await world.clock.advance(1_000);
    expect(world.last.request.prevKv).toBe(false);
  });

  it("are fetched where etcd left them out, with what follows waiting", async () => {
    const world = new ScriptedHub();
    world.previous.set("k@100", "\u002a\u0001v");
    const client = world.session();
    client.create("k", { prevKv: true });
    await settle();
    world.last.created();
    world.last.say(["k@101"]);
    world.last.say(["k@102"], { prev: "w" });
    expect(client.events).toEqual([]);
    await settle();
    expect(client.events).toEqual(["k@101", "k@102"]);
    expect(client.got[1]?.events[0]?.prevKv).toBeDefined();
  });
});

describe("rule 21: watches that are behind", () => {
  it("have a stream of their own", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    expect(world.last.request.isAlone).toBe(false);
    client.create("k", { startRevision: 50n });
    await settle();
    expect(world.last.request).toMatchObject({ isAlone: true, startRevision: 49n });
  });
});

describe("rule 22: a planned move", () => {
  it("keeps the old watch until the new one has covered as much, and is given up where the new one is compacted", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    const [old] = world.opened;
    const keen = world.session();
    keen.create("k", { prevKv: true });
    await settle();
    const next = world.last;
    next.created();
    expect(old?.isCancelled).toBe(false);
    next.sink.onEnd({ t: "compacted", compactRevision: 200n });
    old?.say(["k@101"]);
    expect(client.events).toEqual(["k@101"]);
    expect(client.control).toEqual(["created 0 at 100"]);
  });
});

describe("rule 23: catching up", () => {
  it("joins the shared feed where that holds all that is still needed, and stops its own watch", async () => {
    const world = new ScriptedHub();
    const now = await watching(world);
    const past = world.session();
    past.create("k", { startRevision: 50n });
    await settle();
    const [main, behind] = world.opened;
    behind?.created();
    behind?.say(["k@60", "k@99"]);
    expect(behind?.isCancelled).toBe(false);
    main?.say(["k@101"]);
    behind?.say(["k@101"]);
    expect(behind?.isCancelled).toBe(true);
    main?.say(["k@102"]);
    expect(past.events).toEqual(["k@60", "k@99", "k@101", "k@102"]);
    expect(now.events).toEqual(["k@101", "k@102"]);
  });

  it("is shared by those who come to the same stretch, four at most", async () => {
    const world = new ScriptedHub();
    await watching(world);
    const clients = Array.from({ length: 12 }, () => world.session());
    for (const [i, client] of clients.entries()) client.create("k", { startRevision: BigInt(60 - 5 * i) });
    await settle();
    expect(world.opened.length).toBe(1 + 4);
    for (let round = 0; round < 10; round++) {
      for (const watch of world.opened.slice(1)) {
        if (watch.isCancelled) continue;
        watch.created();
        watch.say(["k@61", "k@101"]);
      }
      world.opened[0]?.say([`k@${101 + round}`]);
      await settle();
    }
    for (const client of clients) expect(client.events.slice(0, 2)).toEqual(["k@61", "k@101"]);
  });
});

describe("rule 24: a wide feed that nobody wide wants any more", () => {
  it("gives way to feeds of what is left, once they have covered as much", async () => {
    const world = new ScriptedHub();
    const wide = world.session();
    wide.create("a", { rangeEnd: bytes("m") });
    await settle();
    world.last.created();
    await settle();
    const narrow = world.session();
    narrow.create("k");
    await settle();
    wide.cancel(0n);
    await world.clock.advance(1_000);
    const [old, part] = world.opened;
    expect(part?.request).toMatchObject({ range: { t: "point", key: bytes("k") }, startRevision: 100n });
    old?.say(["k@101"]);
    part?.created();
    world.revision = 101n;
    await world.clock.advance(1_000);
    expect(old?.isCancelled).toBe(false);
    part?.say(["k@101", "k@102"]);
    world.revision = 102n;
    await world.clock.advance(1_000);
    expect(old?.isCancelled).toBe(true);
    part?.say(["k@103"]);
    expect(narrow.events).toEqual(["k@101", "k@102", "k@103"]);
  });
});

describe("rule 25: a create without a quorum", () => {
  it("is answered as etcd words it, and does not take the stream along", async () => {
    const world = new ScriptedHub();
    world.probe = () => new Promise(() => {});
    const client = world.session();
    client.create("k");
    await world.clock.advance(4_999);
    expect(client.control).toEqual([]);
    await world.clock.advance(1);
    expect(client.control).toEqual(["refused -1 at 0 etcdserver: request timed out"]);
    expect(client.ended).toBeUndefined();
  });

  it("waits as long for an etcd that cannot be asked, and goes on when it can", async () => {
    const world = new ScriptedHub();
    const { probe } = world;
    world.probe = () => Promise.reject(new ProbeError(14, "no etcd endpoint is available"));
    const [early, late] = [world.session(), world.session()];
    early.create("k");
    await world.clock.advance(4_000);
    late.create("k");
    await world.clock.advance(1_000);
    expect(early.control).toEqual(["refused -1 at 0 etcdserver: request timed out"]);
    world.probe = probe;
    await world.clock.advance(250);
    world.last.created(world.revision);
    await settle();
    expect(late.control).toEqual(["created 0 at 100"]);
  });

  it("has a later now where the first was compacted before the feed was there", async () => {
    const world = new ScriptedHub();
    const client = world.session();
    client.create("k");
    await settle();
    world.revision = 300n;
    world.last.sink.onEnd({ t: "compacted", compactRevision: 250n });
    await settle();
    world.last.created();
    await settle();
    expect(client.control).toEqual(["created 0 at 300"]);
  });
});

describe("rule 31: header revisions", () => {
  it("are that of the last event, and never go back on a stream", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    world.last.say(["k@101"], { revision: 5000n });
    expect(client.got.at(-1)?.header?.revision).toBe(101n);
    client.cancel(0n);
    expect(client.control.at(-1)).toBe("canceled 0 at 101");
  });

  it("of progress are those of the watch that is least far, and it is silent while one is behind", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    client.create("j", { startRevision: 50n });
    await settle();
    client.askProgress();
    world.opened[0]?.sink.onProgress(120n);
    await world.clock.advance(200);
    expect(client.control).toEqual(["created 0 at 100", "created 1 at 100"]);
    world.last.created();
    world.last.sink.onProgress(120n);
    await world.clock.advance(200);
    expect(client.control.at(-1)).toBe("progress -1 at 120");
  });
});

describe("rule 34: permission", () => {
  it("is asked for every watch before it is opened, and its refusal is the answer", async () => {
    const world = new ScriptedHub();
    world.probe = () => Promise.reject(new ProbeError(7, "etcdserver: permission denied"));
    const client = world.session();
    client.create("k");
    await settle();
    expect(world.opened).toEqual([]);
    expect(client.control).toEqual([
      "refused -1 at 100 rpc error: code = PermissionDenied desc = etcdserver: permission denied",
    ]);
  });

  it.each([
    ["a forgotten token", 16, "etcdserver: invalid auth token", "Unauthenticated"],
    ["auth that was switched on", 3, "etcdserver: user name is empty", "InvalidArgument"],
    ["a permission that is gone", 7, "etcdserver: permission denied", "PermissionDenied"],
  ])("of a feed that has lost its stream ends its watchers: %s", async (_, code, text, name) => {
    const world = new ScriptedHub();
    const client = await watching(world);
    world.probe = () => Promise.reject(new ProbeError(code, text));
    world.last.sink.onEnd({ t: "lost", code: 14, message: "gone" });
    await world.clock.advance(100);
    expect(client.control.at(-1)).toContain(`rpc error: code = ${name} desc = ${text}`);
    expect([...client.session.watchers]).toHaveLength(0);
  });

  it("that will pass keeps a feed asking", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    world.probe = () => Promise.reject(new ProbeError(3, "etcdserver: revision of auth store is old"));
    world.last.sink.onEnd({ t: "lost", code: 14, message: "gone" });
    await world.clock.advance(100);
    expect([...client.session.watchers]).toHaveLength(1);
    world.probe = () => Promise.resolve(header(world.revision));
    await world.clock.advance(6_000);
    expect(world.opened.length).toBeGreaterThan(1);
  });

  it("of one range says nothing of another that was asked about with it", async () => {
    const world = new ScriptedHub();
    const release: (() => void)[] = [];
    world.probe = (ranges) =>
      new Promise((resolve, reject) =>
        release.push(() => {
          const isSecret = ranges.some((range) => range.t === "point" && range.key[0] === 115);
          if (isSecret) reject(new ProbeError(7, "etcdserver: permission denied"));
          else resolve(header(100n));
        }),
      );
    const client = world.session();
    for (const key of ["k", "k", "s"]) client.create(key, { startRevision: 1n });
    for (let i = 0; i < 6; i++) {
      release.shift()?.();
      await settle();
    }
    expect(client.control.map((one) => one.split(" ")[0])).toEqual(["created", "created", "refused"]);
  });
});

describe("upstream streams", () => {
  function openStream(version: string | undefined, ownCluster = 7n) {
    const sent: string[] = [];
    let sink: StreamSink | undefined;
    const stream = new UpstreamStream(
      "1",
      (given) => {
        sink = given;
        return {
          member: "m1",
          send: (request) => void sent.push(fromBinary(WatchRequestSchema, request).requestUnion.case ?? ""),
          cancel: () => void sent.push("closed"),
          acceptsCluster: (clusterId) => clusterId === 0n || clusterId === ownCluster,
          askGates: () => Promise.resolve(version === undefined ? oldestGates : gatesOf(version)),
        };
      },
      () => {},
    );
    const say = (response: object, clusterId = 7n): void => {
      const message = create(WatchResponseSchema, { header: { ...header(60n), clusterId }, ...response });
      sink?.onMessage(toBinary(WatchResponseSchema, message));
    };
    const watch = (key: string) => {
      const seen: string[] = [];
      const request = {
        range: { t: "point", key: bytes(key) },
        startRevision: 5n,
        coverage: 5n,
        via: undefined,
        prevKv: false,
        isAlone: false,
        avoid: undefined,
        toward: undefined,
      } as const;
      const handle = stream.open(request, {
        onCreated: () => void seen.push("created"),
        onEvents: (list) => void seen.push(...list.map((one) => `event ${one.modRevision}`)),
        onProgress: (revision) => void seen.push(`progress ${revision}`),
        onEnd: ({ t }) => void seen.push(t),
      });
      return { seen, handle };
    };
    return { stream, sent, say, watch };
  }
  const event = (key: string, modRevision: bigint) => ({ kv: { key: bytes(key), modRevision } });

  it("rule 2: progress for the stream speaks for watches whose created came before it", async () => {
    const { say, watch } = openStream("3.5.30");
    const [x, y] = [watch("x"), watch("y")];
    await settle();
    say({ watchId: 0n, created: true });
    say({ watchId: -1n });
    say({ watchId: 1n, created: true });
    say({ watchId: 1n, events: [event("y", 50n)] });
    expect(x.seen).toEqual(["created", "progress 60"]);
    expect(y.seen).toEqual(["created", "event 50"]);
  });

  it.each([
    ["rule 4: of a version that claims what it has lost, requested progress does not count", "3.5.12", 7n],
    ["rule 4: nor of a version that nobody told", undefined, 7n],
    ["rule 4: nor of a proxy, which names no cluster", "3.5.30", 0n],
  ])("%s", async (_name, version, clusterId) => {
    const { say, watch } = openStream(version);
    const { seen } = watch("x");
    await settle();
    say({ watchId: 0n, created: true });
    say({ watchId: -1n }, clusterId);
    expect(seen).toEqual(["created"]);
  });

  it("rule 32: a stream that a member of another cluster took ends, and nothing of it is believed", async () => {
    const { sent, say, watch } = openStream("3.5.30", 6n);
    const { seen } = watch("x");
    await settle();
    say({ watchId: 0n, created: true });
    say({ watchId: 0n, events: [event("x", 50n)] });
    expect(seen).toEqual(["lost"]);
    expect(sent.at(-1)).toBe("closed");
  });

  it("rule 4: periodic progress counts on every version", async () => {
    const { say, watch } = openStream("3.4.23");
    const { seen } = watch("x");
    await settle();
    say({ watchId: 0n, created: true });
    say({ watchId: 0n });
    expect(seen).toEqual(["created", "progress 60"]);
  });

  it("rule 11: what still comes for a watch that was given up goes nowhere", async () => {
    const { say, watch, sent } = openStream("3.5.30");
    const [x, y] = [watch("x"), watch("y")];
    await settle();
    say({ watchId: 0n, created: true });
    say({ watchId: 1n, created: true });
    x.handle.cancel();
    say({ watchId: 0n, events: [event("x", 50n)] });
    say({ watchId: 0n, canceled: true });
    say({ watchId: 1n, events: [event("y", 51n)] });
    expect(x.seen).toEqual(["created"]);
    expect(y.seen).toEqual(["created", "event 51"]);
    expect(sent).toEqual(["createRequest", "createRequest", "cancelRequest"]);
  });

  it("rule 11: a watch given up before it had an id is cancelled when it has one", async () => {
    const { say, watch, sent } = openStream("3.5.30");
    const [x] = [watch("x"), watch("y")];
    x.handle.cancel();
    say({ watchId: 0n, created: true });
    expect(x.seen).toEqual([]);
    expect(sent).toEqual(["createRequest", "createRequest", "cancelRequest"]);
  });
});

describe("sharing", () => {
  it("opens one watch for equal ranges, and none for a range inside it", async () => {
    const world = new ScriptedHub();
    const wide = world.session();
    wide.create("a", { rangeEnd: bytes("m") });
    await settle();
    world.last.created();
    await settle();
    const others = [world.session(), world.session(), world.session()];
    others[0]?.create("a", { rangeEnd: bytes("m") });
    others[1]?.create("k");
    others[2]?.create("b", { rangeEnd: bytes("c") });
    await settle();
    expect(world.opened).toHaveLength(1);
    world.last.say(["b@101", "k@102"]);
    expect(others.map((one) => one.events)).toEqual([["b@101", "k@102"], ["k@102"], ["b@101"]]);
  });

  it("closes the upstream watch with its last watcher", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    client.cancel(0n);
    expect(world.last.isCancelled).toBe(true);
    expect(world.hub.isIdle).toBe(true);
    await world.clock.advance(2_000);
    expect(world.clock.pending).toBe(0);
  });

  it("parks a stream that does not read, and gives it everything later, in order", async () => {
    const world = new ScriptedHub({ maxTotalBytes: 900, maxLogBytes: 900 });
    const [slow, fast] = [await watching(world), world.session()];
    fast.create("k");
    await settle();
    slow.isReading = false;
    const main = world.last;
    for (let i = 101; i <= 120; i++) main.say([`k@${i}`]);
    expect(fast.events).toHaveLength(20);
    expect(slow.events).toEqual(["k@101"]);
    slow.isReading = true;
    world.revision = 120n;
    slow.session.onDrain();
    await settle();
    // The log has let go of what it has not read: that comes from etcd again.
    expect(world.last.request).toMatchObject({ startRevision: 101n, isAlone: true });
    world.last.created();
    world.last.sink.onEvents(
      events(Array.from({ length: 20 }, (_, i) => `k@${101 + i}`)),
      false,
      header(120n),
    );
    expect(slow.events).toEqual(fast.events);
  });

  it("refuses more watches than a stream may have, and names the limit", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    for (const key of ["a", "b"]) {
      client.create(key);
      await settle();
      world.last.created();
      await settle();
    }
    client.create("c");
    expect(client.control.at(-1)).toBe(
      "refused -1 at 100 rpc error: code = ResourceExhausted desc = etcd-edge: too many watches per stream (limit 3)",
    );
  });
});

describe("rule 3: a history that was replaced", () => {
  it("ends every watch as compacted once a quorum answers with less than was known", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    world.last.say(["k@150"]);
    world.revision = 40n;
    await world.clock.advance(1_000);
    expect(client.control.at(-1)).toBe("canceled 0 at 0 compacted 40");
  });
});

describe("rule 32: another cluster at the addresses", () => {
  const other = { clusterId: 8n, memberId: 3n, revision: 12n, raftTerm: 2n };

  it("is not believed, until whoever looks at all endpoints says that the one before is gone", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    world.last.say(["k@150"]);
    world.probe = () => Promise.resolve(other);
    await expect(world.hub.probe({ t: "point", key: bytes("k") })).rejects.toMatchObject({ code: 14 });
    expect(client.control.some((line) => line.startsWith("canceled"))).toBe(false);
    world.hub.repin();
    await world.clock.advance(0);
    expect(client.control.at(-1)).toBe("canceled 0 at 0 compacted 12");
    expect([world.hub.history.clusterId, world.hub.history.known]).toEqual([8n, 12n]);
  });

  it("is told of also where a token of the one before gets no answer from it", async () => {
    const world = new ScriptedHub();
    const client = await watching(world);
    world.last.say(["k@150"]);
    world.probe = () => new Promise(() => {}); // etcd waits until it is as far as the token says
    world.hub.repin();
    await world.clock.advance(1_000);
    expect(client.control.some((line) => line.startsWith("canceled"))).toBe(false);
    world.who = () => Promise.resolve(other);
    await world.clock.advance(1_000);
    expect(client.control.at(-1)).toBe("canceled 0 at 0 compacted 12");
    expect([world.hub.history.clusterId, world.hub.history.known]).toEqual([8n, 12n]);
  });
});
