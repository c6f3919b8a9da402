import {
  bodyOfRange,
  type MessageInitShape,
  type RangeRequestSchema,
  readResponseHeader,
} from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import type { Chance } from "./model-etcd.ts";
import { type Reading, ReadWorld } from "./read-world.ts";
import { bytes } from "./scripted-hub.ts";

// Random interleavings of readers, writers, lagging members, watch streams that say things late or break, compactions, lost
// quorums and withdrawn permissions, against what etcd would say of its history. Every answer is checked byte for byte, at the
// revision that its header shows.

/** mulberry32: small, and the same on every machine. */
function seeded(seed: number): Chance {
  let state = seed >>> 0;
  return {
    int(below) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
    },
  };
}

type Query = MessageInitShape<typeof RangeRequestSchema>;
const keys = ["k/0", "k/1", "k/1\0", "k/2", "k/3", "k/4", "k/5", "k/6", "k/7", "z"];
const prefix = { key: bytes("k/"), rangeEnd: bytes("k0") };
const recheckMs = 5_000;

class Player {
  readonly world: ReadWorld;
  readonly #chance: Chance;
  readonly #checked = new Set<Reading>();
  answered = { held: 0, local: 0, kept: 0, all: 0 };
  #floor = 0n;

  constructor(seed: number) {
    this.#chance = seeded(seed);
    const version = this.#chance.int(5) === 0 ? "3.4.23" : "3.5.30";
    const logBytes = this.#chance.int(3) === 0 ? 2_000 : 1 << 20;
    this.world = new ReadWorld(this.#chance, {
      version,
      logBytes,
      limits: { feeds: 2, heldBytes: 1 << 20, maxAgeMs: this.#chance.int(2) * 500 },
    });
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#chance.int(list.length)] as T;
  }

  #query(): Query {
    const { etcd } = this.world;
    const shape: Query = this.#pick<Query>([
      prefix,
      prefix,
      { key: bytes(this.#pick(keys)) },
      { key: bytes(this.#pick(keys)), rangeEnd: bytes("k/5") },
      { key: bytes(this.#pick(keys)), rangeEnd: bytes("\0") },
      { key: bytes("\0"), rangeEnd: bytes("\0") },
    ]);
    const twist: Query = this.#pick<Query>([
      {},
      {},
      {},
      { limit: 2n },
      { limit: 3n, sortOrder: 2 },
      { keysOnly: true },
      { countOnly: true, limit: 1n },
      { minModRevision: etcd.head - 3n, limit: 2n },
      { maxCreateRevision: 5n },
      { sortOrder: 1, sortTarget: 3 },
    ]);
    const isFixed = this.#chance.int(4) === 0;
    const revision = isFixed ? etcd.head - BigInt(this.#chance.int(6)) + 1n : 0n;
    const serializable = this.#chance.int(2) === 0;
    return { ...shape, ...twist, serializable, ...(revision > 0n ? { revision } : {}) };
  }

  async step(): Promise<void> {
    const { world } = this;
    const { etcd } = world;
    const streams = [...etcd.streams];
    const stream = streams[this.#chance.int(Math.max(1, streams.length))];
    switch (this.#chance.int(20)) {
      case 0:
      case 1:
      case 2:
        etcd.commit([
          {
            key: this.#pick(keys),
            isDelete: this.#chance.int(4) === 0,
            value: "v".repeat(1 + this.#chance.int(30)),
          },
          ...(this.#chance.int(3) === 0 ? [{ key: "z", isDelete: false, value: "z" }] : []),
        ]);
        break;
      case 3: {
        const member = this.#pick(etcd.members);
        member.applied += BigInt(this.#chance.int(Number(etcd.head - member.applied) + 1));
        break;
      }
      case 4:
      case 5:
        stream?.sync();
        break;
      case 6:
      case 7:
      case 8:
        stream?.deliver();
        break;
      case 9:
        switch (this.#chance.int(60)) {
          case 0:
            world.permission = !world.isPermitted;
            break;
          case 1:
          case 2:
          case 3:
          case 4:
            world.hasQuorum = !world.hasQuorum;
            break;
          case 5:
          case 6:
          case 7:
          case 8:
          case 9:
          case 10:
            stream?.break();
            break;
          default:
        }
        break;
      case 10:
      case 11:
      case 12: {
        const flying = world.air[this.#chance.int(Math.max(1, world.air.length))];
        if (flying === undefined) break;
        if (this.#chance.int(30) === 0) {
          world.air = world.air.filter((one) => one !== flying);
          flying.end({ t: this.#pick(["lost", "unsent", "late"]), failure: { code: 14, message: "lost" } });
        } else {
          world.land(flying);
        }
        break;
      }
      case 13:
        await world.clock.advance(this.#chance.int(400));
        break;
      case 14:
        if (this.#chance.int(12) === 0) {
          const span = Number(etcd.head - etcd.compactRevision);
          etcd.compactRevision += BigInt(this.#chance.int(span + 1));
          if (this.#chance.int(2) === 0) world.cache.floor.note(etcd.compactRevision);
        } else if (this.#chance.int(40) === 0) {
          const waiting = world.readings.find(({ result, hasLeft }) => result === undefined && !hasLeft);
          if (waiting !== undefined) {
            waiting.hasLeft = true;
            waiting.leave();
          }
        }
        break;
      default: {
        // Mostly the same: a range gets hot.
        const query =
          this.#chance.int(2) === 0 ? { ...prefix, serializable: this.#chance.int(2) === 0 } : this.#query();
        world.read(query, this.#chance.int(3) === 0 ? this.#floor : 0n);
      }
    }
    await world.settle();
    this.check();
  }

  check(): void {
    for (const reading of this.world.readings) {
      if (reading.result === undefined || this.#checked.has(reading)) continue;
      this.#checked.add(reading);
      this.#checkOne(reading);
    }
  }

  #checkOne({ query, result, isNow, floor, headBefore, compactBefore, startedAt }: Reading): void {
    const { etcd, deniedAt } = this.world;
    if (result?.t === "failed") {
      if (result.failure.message.includes("compacted"))
        expect(query.revision).toBeLessThan(etcd.compactRevision);
      if (result.failure.message.includes("future")) expect(query.revision).toBeGreaterThan(0n);
      return;
    }
    if (result?.t !== "answered") return;
    const whole = Buffer.concat([result.head, result.body]);
    const header = readResponseHeader(whole);
    this.answered.all++;
    expect(header.clusterId).toBe(etcd.clusterId);
    expect(header.revision).toBe(result.revision);
    expect(header.revision).toBeLessThanOrEqual(etcd.head);
    const at = query.revision > 0n ? query.revision : header.revision;
    expect(Buffer.from(bodyOfRange(whole)).toString("hex")).toBe(
      Buffer.from(this.world.naive(query, at)).toString("hex"),
    );
    if (!query.serializable) {
      expect(header.revision).toBeGreaterThanOrEqual(headBefore);
      if (query.revision > 0n) expect(query.revision).toBeGreaterThanOrEqual(compactBefore);
    }
    if (query.revision > 0n) expect(header.revision).toBeGreaterThanOrEqual(query.revision);
    // What any member says without us may be older.
    if (isNow || result.isLocal === true) expect(header.revision).toBeGreaterThanOrEqual(floor);
    if (deniedAt !== undefined) expect(startedAt - deniedAt).toBeLessThanOrEqual(recheckMs);
    if (header.revision > this.#floor) this.#floor = header.revision;
  }

  /** Lets everything come to its end. */
  async finish(): Promise<void> {
    const { world } = this;
    world.hasQuorum = true;
    world.permission = true;
    for (
      let i = 0;
      i < 50 && world.readings.some(({ result, hasLeft }) => result === undefined && !hasLeft);
      i++
    ) {
      await world.landAll();
      await world.sync();
      await world.clock.advance(300);
      this.check();
    }
    for (const { result, hasLeft } of world.readings) if (!hasLeft) expect(result).toBeDefined();
    this.answered.held = world.cache.counts.held;
    this.answered.kept = world.cache.counts.kept;
  }
}

const firstSeed = Number(process.env["CACHE_MODEL_SEED"] ?? "1");
const runs = Number(process.env["CACHE_MODEL_RUNS"] ?? "150");

describe("cached reads", () => {
  it("rules 6, 10, 29, 30: are what etcd would have said at the revision they show, whatever happens", async () => {
    let held = 0;
    let kept = 0;
    for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
      const player = new Player(seed);
      try {
        for (let i = 0; i < 400; i++) await player.step();
        await player.finish();
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      } finally {
        player.world.cache[Symbol.dispose]();
        player.world.hub.close();
      }
      held += player.answered.held;
      kept += player.answered.kept;
    }
    // The runs say if the cache was at work.
    expect(held).toBeGreaterThan(runs);
    expect(kept).toBeGreaterThan(0);
  }, 120_000);
});
