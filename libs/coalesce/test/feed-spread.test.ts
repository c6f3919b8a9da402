import { describe, expect, it } from "vitest";
import { FeedSpread } from "../src/watch/feed-spread.ts";
import { settle } from "./fake-clock.ts";
import { type ScriptedClient, ScriptedHub } from "./scripted-hub.ts";

/** Feeds of `count` keys, all live on member m1, each with a client. */
async function gathered(world: ScriptedHub, count: number): Promise<readonly ScriptedClient[]> {
  const clients: ScriptedClient[] = [];
  for (let i = 0; i < count; i++) {
    const client = world.session();
    client.create(`k${i}`);
    await settle();
    world.last.created(world.revision);
    clients.push(client);
  }
  await settle();
  return clients;
}

const membersOf = (world: ScriptedHub): (string | undefined)[] =>
  [...world.hub.feeds()].map(({ member }) => member).sort();

const two = new Map([
  ["m1", 1],
  ["m2", 1],
]);

describe("feeds that gathered on one member", () => {
  it("go to one that is back, once it has stayed, with no event lost or repeated on the way", async () => {
    const world = new ScriptedHub();
    const clients = await gathered(world, 4);
    const spread = new FeedSpread(world.clock);
    spread.step(world.hub.feeds(), new Map([["m1", 1]]));
    spread.step(world.hub.feeds(), two);
    expect(spread.moves, "it has just come").toBe(0);
    await world.clock.advance(5_000);
    const before = world.opened.length;
    spread.step(world.hub.feeds(), two);
    const moving = world.opened.slice(before);
    expect(moving.map(({ member }) => member)).toEqual(["m2", "m2"]);
    expect(moving[0]?.request.startRevision).toBe(100n);
    spread.step(world.hub.feeds(), two);
    expect(world.opened, "those under way are counted").toHaveLength(before + 2);

    // Both watches of a feed say the same events, the old one first, and then the new one.
    const [old, next] = [world.opened[0], moving[0]];
    old?.say(["k0@101"]);
    next?.created();
    expect(old?.isCancelled).toBe(false);
    next?.say(["k0@101", "k0@102"]);
    expect(old?.isCancelled, "the new one has covered as much").toBe(true);
    moving[1]?.created();
    moving[1]?.sink.onProgress(102n);
    expect(membersOf(world)).toEqual(["m1", "m1", "m2", "m2"]);
    expect(clients[0]?.events).toEqual(["k0@101", "k0@102"]);
  });

  it("stay while it comes and goes", async () => {
    const world = new ScriptedHub();
    await gathered(world, 4);
    const spread = new FeedSpread(world.clock);
    for (let i = 0; i < 5; i++) {
      spread.step(world.hub.feeds(), two);
      await world.clock.advance(3_000);
      spread.step(world.hub.feeds(), new Map([["m1", 1]]));
    }
    expect(spread.moves).toBe(0);
  });

  it("rule 22: stay where nothing shows how far they are, unless something happens in them", async () => {
    const world = new ScriptedHub();
    world.version = "3.4.23";
    await gathered(world, 4);
    const spread = new FeedSpread(world.clock);
    spread.step(world.hub.feeds(), two);
    await world.clock.advance(5_000);
    spread.step(world.hub.feeds(), two);
    expect(spread.moves).toBe(0);
    world.opened[3]?.say(["k3@101"]);
    spread.step(world.hub.feeds(), two);
    expect(world.last.member).toBe("m2");
    expect(world.last.request.startRevision).toBe(101n);
    world.last.created();
    world.last.say(["k3@102"]);
    expect(membersOf(world)).toEqual(["m1", "m1", "m1", "m2"]);
  });

  it("stay with what they have where the new member does not get as far", async () => {
    const world = new ScriptedHub();
    const clients = await gathered(world, 2);
    const spread = new FeedSpread(world.clock);
    spread.step(world.hub.feeds(), two);
    await world.clock.advance(5_000);
    spread.step(world.hub.feeds(), two);
    const move = world.last;
    move.created();
    await world.clock.advance(10_000);
    spread.step(world.hub.feeds(), two);
    expect(move.isCancelled).toBe(true);
    world.opened[0]?.say(["k0@101"]);
    expect(clients[0]?.events).toEqual(["k0@101"]);
  });

  it("follow weights", async () => {
    const world = new ScriptedHub();
    await gathered(world, 8);
    const spread = new FeedSpread(world.clock);
    const weighted = new Map([
      ["m1", 3],
      ["m2", 1],
    ]);
    spread.step(world.hub.feeds(), weighted);
    await world.clock.advance(5_000);
    spread.step(world.hub.feeds(), weighted);
    expect(spread.moves).toBe(2);
  });
});
