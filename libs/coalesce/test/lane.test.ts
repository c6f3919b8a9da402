import { describe, expect, it } from "vitest";
import { settle } from "./fake-clock.ts";
import { ModelConnection } from "./model-connection.ts";
import { type ScriptedClient, ScriptedHub } from "./scripted-hub.ts";

/** Never in the way: streams take whatever there is room for. */
const willing = { int: (below: number) => below - 1 };

/** Clients on one connection, all watching `k` from now on, the feed live. */
async function watching(world: ScriptedHub, count: number) {
  const connection = new ModelConnection(1, willing);
  const clients = Array.from({ length: count }, () => world.session(connection));
  for (const client of clients) client.create("k");
  await settle();
  world.last.created(world.revision);
  await settle();
  const turn = (room: number): void => connection.turn(room);
  const seen = (): string[] => clients.map((client: ScriptedClient) => client.events.join(" "));
  return { connection, clients, turn, seen };
}

describe("streams of one connection with a watch of one range", () => {
  it("get events when the connection takes more, those that came meanwhile in one message", async () => {
    const world = new ScriptedHub();
    const { clients, turn, seen } = await watching(world, 2);
    world.last.say(["k@101"]);
    world.last.say(["k@102"]);
    expect(seen()).toEqual(["", ""]);
    turn(2);
    expect(seen()).toEqual(["k@101 k@102", "k@101 k@102"]);
    expect(clients[0]?.got.at(-1)?.header?.revision).toBe(102n);
    expect(world.hub.counters.sharedDeliveries).toBe(1);
  });

  it("each get everything once, though some leave while it goes out", async () => {
    const world = new ScriptedHub();
    const { clients, turn, seen } = await watching(world, 5);
    world.last.say(["k@101"]);
    turn(3);
    expect(seen()).toEqual(["k@101", "k@101", "k@101", "", ""]);
    clients[0]?.session.close(); // it has got it
    clients[4]?.session.close(); // it has not
    world.last.say(["k@102"]);
    turn(10);
    turn(10);
    expect(seen()).toEqual(["k@101", "k@101 k@102", "k@101 k@102", "k@101 k@102", ""]);
  });

  it("are joined midway by one who gets what is new to it and nothing else", async () => {
    const world = new ScriptedHub();
    const { connection, turn, seen } = await watching(world, 2);
    world.last.say(["k@101"]);
    turn(1);
    world.revision = 101n;
    const late = world.session(connection);
    late.create("k");
    await settle();
    expect(late.control).toEqual(["created 0 at 101"]);
    world.last.say(["k@102"]);
    while (!connection.isQuiet) turn(1);
    expect(seen()).toEqual(["k@101 k@102", "k@101 k@102"]);
    expect(late.events).toEqual(["k@102"]);
  });

  it("go on by themselves when they do not take what the others do", async () => {
    const world = new ScriptedHub();
    const { clients, connection, turn, seen } = await watching(world, 2);
    const slow = clients[0];
    if (slow === undefined) throw new Error("two clients");
    slow.isReading = false;
    slow.session.onMessage(Uint8Array.of(0x1a, 0)); // asks for progress: the answer fills it
    await settle();
    world.last.sink.onProgress(100n);
    world.last.say(["k@101"]);
    turn(10);
    world.last.say(["k@102"]);
    turn(10);
    expect(seen()).toEqual(["", "k@101 k@102"]);
    slow.isReading = true;
    slow.session.onDrain();
    expect(seen()).toEqual(["k@101 k@102", "k@101 k@102"]);
    world.last.say(["k@103"]);
    while (!connection.isQuiet) turn(10);
    expect(seen()).toEqual(["k@101 k@102 k@103", "k@101 k@102 k@103"]);
  });

  it("catch up from etcd when their connection stops until the log has lost what they need", async () => {
    const world = new ScriptedHub({ maxTotalBytes: 600, maxLogBytes: 600 });
    const { connection, turn, seen } = await watching(world, 3);
    const main = world.last;
    main.say(["k@101"]);
    turn(1);
    for (let revision = 102; revision < 110; revision++) main.say([`k@${revision}`]);
    world.revision = 109n;
    while (!connection.isQuiet) turn(10);
    const caughtUp = world.last;
    expect(caughtUp.request).toMatchObject({ isAlone: true });
    caughtUp.created();
    const all = Array.from({ length: 9 }, (_, i) => `k@${101 + i}`);
    caughtUp.say(all.filter((_, i) => BigInt(101 + i) > caughtUp.request.startRevision));
    while (!connection.isQuiet) turn(10);
    expect(seen()[0]).toBe(all.join(" "));
    for (const one of seen()) expect(one).toBe(all.join(" "));
  });

  it("rule 31: are shown no header below the events that went out to all of them", async () => {
    const world = new ScriptedHub();
    const { clients, turn } = await watching(world, 2);
    world.last.say(["k@105"]);
    turn(10);
    world.last.sink.onProgress(103n);
    clients[0]?.cancel(0n);
    expect(clients[0]?.control).toEqual(["created 0 at 100", "canceled 0 at 105"]);
  });

  it("say since when their connection takes nothing, for --watch-stall-timeout", async () => {
    const world = new ScriptedHub();
    const { turn } = await watching(world, 2);
    const stuckSince = (): (number | undefined)[] => [...world.hub.lanes()].map((lane) => lane.stuckSince);
    expect(stuckSince()).toEqual([undefined]);
    await world.clock.advance(100);
    world.last.say(["k@101"]);
    await world.clock.advance(700);
    world.last.say(["k@102"]);
    expect(stuckSince()).toEqual([100]);
    turn(1);
    expect(stuckSince(), "something went out").toEqual([800]);
    turn(10);
    expect(stuckSince()).toEqual([undefined]);
  });
});
