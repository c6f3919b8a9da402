import { describe, expect, it } from "vitest";
import { type KeyRange, toKeyRange } from "../src/range/key-range.ts";
import { settle } from "./fake-clock.ts";
import type { Chance } from "./model-etcd.ts";
import { ModelFleet } from "./model-fleet.ts";
import { askProgress, createWatch, type ModelReplica } from "./model-replica.ts";
import { seeded } from "./seeded.ts";

const keys = ["a", "b", "b\0", "c", "ca", "z"];
const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const ranges: readonly KeyRange[] = [
  ["a", ""],
  ["b", "c"],
  ["a", "d"],
  ["c", "\0"],
  ["\0", "\0"],
].map(([key = "", rangeEnd = ""]) => {
  const range = toKeyRange({ key: bytes(key), rangeEnd: bytes(rangeEnd) });
  if (range === undefined) throw new Error("not a range");
  return range;
});

/** Replicas on a bus that does what it likes, in front of an etcd that does. */
class WildFleet extends ModelFleet {
  readonly #chance: Chance;

  constructor(chance: Chance, version: string) {
    super(chance, { version });
    this.#chance = chance;
    for (let i = 0; i < 3; i++) this.add();
  }

  add(): void {
    // Small enough that some revisions are announced and not sent.
    this.start(this.#chance.int(2) === 0 ? 6_000 : 1 << 20).openSession();
  }

  /** A quiet beginning: everybody watches something, and knows of the others. */
  async begin(): Promise<void> {
    for (const { open } of this.replicas)
      for (const one of open) for (let i = 0; i < 3; i++) this.#createWatch(one);
    for (let i = 0; i < 8; i++) {
      await this.flow();
      await this.pass(250);
    }
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[this.#chance.int(Math.max(1, list.length))];
  }

  async step(): Promise<void> {
    const { etcd, bus } = this;
    const chance = this.#chance;
    const replica = this.#pick(this.awake);
    if (replica === undefined) {
      this.#pick(this.alive)?.pause(false);
      return;
    }
    const stream = this.#pick([...replica.streams].filter((one) => etcd.streams.has(one)));
    const one = this.#pick(replica.open);
    switch (chance.int(24)) {
      case 0:
      case 1:
      case 2: {
        const touched = [
          ...new Set(Array.from({ length: 1 + chance.int(3) }, () => this.#pick(keys) ?? "a")),
        ];
        const size = chance.int(30) === 0 ? 5_000 : 60;
        etcd.commit(
          touched.map((key) => ({
            key,
            isDelete: chance.int(4) === 0,
            value: "v".repeat(1 + chance.int(size)),
          })),
        );
        break;
      }
      case 3:
      case 4: {
        const behind = chance.int(3);
        for (const [i, member] of etcd.members.entries()) {
          const lacks = Number(etcd.head - member.applied);
          member.applied += BigInt(i === behind ? chance.int(lacks + 1) : lacks);
        }
        break;
      }
      case 5:
      case 6:
      case 7:
      case 8:
      case 9:
        for (const busy of this.awake.flatMap(({ streams }) => [...streams])) {
          if (!etcd.streams.has(busy) || chance.int(3) === 0) continue;
          busy.sync();
          for (let i = chance.int(4); i > 0; i--) busy.deliver();
        }
        break;
      case 10:
      case 11:
      case 12:
        bus.deliver(1 + chance.int(30));
        break;
      case 13:
        replica.end.serve();
        break;
      case 14:
        await replica.clock.advance(chance.int(200));
        break;
      case 15:
        await this.pass(chance.int(300));
        break;
      case 16:
      case 17:
        if (one !== undefined) this.#createWatch(one);
        break;
      case 18:
        if (one !== undefined) askProgress(one);
        break;
      case 19:
        if (chance.int(20) === 0) stream?.break(chance.int(2) === 0 ? "etcdserver: no leader" : "reset");
        else if (replica.open.length < 3) replica.openSession();
        else if (one !== undefined && chance.int(4) === 0) {
          one.isOpen = false;
          one.session.close();
        }
        break;
      case 20:
        if (chance.int(6) === 0) {
          const span = Number(etcd.head - etcd.compactRevision);
          etcd.compactRevision += BigInt(chance.int(Math.max(1, span)));
        } else if (chance.int(10) === 0) stream?.claimCompacted();
        else if (chance.int(4) === 0) stream?.notifyProgress();
        break;
      case 21:
        this.#weather(replica);
        break;
      case 22:
        if (one !== undefined) {
          one.client.isReading = !one.client.isReading;
          if (one.client.isReading) one.session.onDrain();
        }
        break;
      case 23:
        if (chance.int(30) === 0 && this.alive.length > 1) replica.kill();
        else if (chance.int(20) === 0) replica.pause(true);
        else if (chance.int(10) === 0) this.#pick(this.alive)?.pause(false);
        else if (chance.int(25) === 0 && this.alive.length < 4) this.add();
        else if (chance.int(40) === 0)
          void replica.fabric.drain().then(() => replica.isAlive && replica.kill());
        break;
    }
    if (chance.int(3) === 0) await settle();
  }

  #weather(replica: ModelReplica): void {
    const { weather } = this.bus;
    const chance = this.#chance;
    switch (chance.int(6)) {
      case 0:
        weather.drop = chance.int(2) === 0 ? chance.int(15) : 0;
        break;
      case 1:
        weather.repeat = chance.int(2) === 0 ? chance.int(15) : 0;
        break;
      case 2:
        weather.reorder = chance.int(2) === 0 ? chance.int(40) : 0;
        break;
      case 3:
        if (chance.int(3) === 0) replica.end.connect(!replica.end.isConnected);
        else replica.end.connect(true);
        break;
      case 4:
        if (chance.int(12) === 0) for (const { end } of this.alive) end.connect(false);
        else for (const { end } of this.alive) end.connect(true);
        break;
      case 5:
        replica.hasQuorum = chance.int(10) > 0;
        break;
    }
  }

  #createWatch(one: ModelReplica["sessions"][number]): void {
    const chance = this.#chance;
    const kind = chance.int(4);
    const head = Number(this.etcd.head);
    const start = kind < 2 ? 0 : kind === 2 ? 1 + chance.int(head) : head + 1 + chance.int(5);
    createWatch(one, this.etcd, {
      range: ranges[chance.int(ranges.length)] as KeyRange,
      start: BigInt(start),
      prevKv: chance.int(3) === 0,
      noPut: chance.int(8) === 0,
      noDelete: chance.int(8) === 0,
    });
  }

  /** Everything works from now on; runs until all that can arrive has arrived. */
  async heal(seconds: number): Promise<void> {
    Object.assign(this.bus.weather, { drop: 0, repeat: 0, reorder: 0 });
    for (const replica of this.alive) {
      replica.hasQuorum = true;
      replica.pause(false);
      replica.end.connect(true);
      for (const { client, session } of replica.open) {
        client.isReading = true;
        session.onDrain();
      }
    }
    for (let quarter = 0; quarter < seconds * 4; quarter++) {
      // In ranges where nothing happens an old etcd cannot show how far it is (rule 4).
      if (quarter % 8 === 0) this.etcd.commit(keys.map((key) => ({ key, isDelete: false, value: "healed" })));
      for (const member of this.etcd.members) member.applied = this.etcd.head;
      await this.flow();
      for (const { clock } of this.alive) await clock.advance(250);
    }
    await this.flow();
  }

  /** Every live watch has everything. */
  check(): void {
    for (const replica of this.alive) {
      for (const { client } of replica.open) {
        expect(client.waiting, "creates without an answer").toBe(0);
        for (const watch of client.watches.values()) {
          const got = watch.events.map(({ kv }) => kv?.modRevision);
          expect(got).toEqual(client.expected(watch).map(({ revision }) => revision));
        }
      }
    }
  }
}

const runs = Number(process.env["FABRIC_MODEL_RUNS"] ?? 40);
const firstSeed = Number(process.env["FABRIC_MODEL_SEED"] ?? 1);

describe("replicas that share feeds, against a model of etcd's history", () => {
  it.each(["3.4.23", "3.5.30"])(
    "lose, repeat and reorder nothing before %s, whatever happens",
    async (version) => {
      let events = 0;
      let frames = 0;
      for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
        const fleet = new WildFleet(seeded(seed), version);
        try {
          await fleet.begin();
          for (let i = 0; i < 700; i++) await fleet.step();
          await fleet.heal(25);
          fleet.check();
          // Each of them once, whoever wants it (rule 26).
          for (const [range, count] of fleet.watchesAtEtcd)
            expect(count, `watches of ${range}\n${fleet.explain()}`).toBe(1);
          for (const { sessions, fabric } of fleet.replicas) {
            frames += fabric.counters.framesIn;
            for (const { client } of sessions)
              for (const { events: got } of [...client.watches.values(), ...client.over])
                events += got.length;
          }
        } catch (error) {
          throw new Error(`seed ${seed}, etcd ${version}`, { cause: error });
        } finally {
          fleet.close();
        }
      }
      expect(events, "events that were checked").toBeGreaterThan(runs * 10);
      expect(frames, "frames that were followed").toBeGreaterThan(runs);
    },
  );
});
