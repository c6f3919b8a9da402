import type { HeaderView } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { GuardedStore } from "../src/cache/guarded-store.ts";
import { InProcessStore, type SharedStore } from "../src/cache/shared-store.ts";
import { Epochs } from "../src/epoch/epochs.ts";
import { StoredEpochs } from "../src/epoch/stored-epochs.ts";
import { Roster } from "../src/fabric/roster.ts";
import type { Clock, Timer } from "../src/ports.ts";
import { History } from "../src/watch/history.ts";
import { FakeClock, settle } from "./fake-clock.ts";
import type { Chance } from "./model-etcd.ts";
import { seeded } from "./seeded.ts";

const firstSeed = Number(process.env["EPOCH_MODEL_SEED"] ?? 1);
const runs = Number(process.env["EPOCH_MODEL_RUNS"] ?? 30);
const steps = 40;

/** What is at the endpoints. `history` is what no replica can see: which one it is. */
interface Etcd {
  clusterId: bigint;
  history: number;
  revision: bigint;
  raftTerm: bigint;
}

/** What all replicas have in common. */
interface World {
  readonly etcd: Etcd;
  readonly redis: { isUp: boolean; store: SharedStore };
  readonly bus: { isUp: boolean; readonly fleet: Set<ModelReplica> };
  readonly chance: Chance;
  readonly clock: FakeClock;
}

/** Of a process that may stand still: what falls due meanwhile comes late. */
class SleepyClock implements Clock {
  readonly #clock: FakeClock;
  readonly #late = new Set<() => void>();
  #isAsleep = false;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  get isAsleep(): boolean {
    return this.#isAsleep;
  }

  set isAsleep(isAsleep: boolean) {
    this.#isAsleep = isAsleep;
    if (isAsleep) return;
    const late = [...this.#late];
    this.#late.clear();
    for (const onDue of late) onDue();
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  setTimer(delayMs: number, onDue: () => void): Timer {
    const timer = this.#clock.setTimer(delayMs, () => {
      if (this.#isAsleep) this.#late.add(onDue);
      else onDue();
    });
    return {
      stop: () => {
        timer.stop();
        this.#late.delete(onDue);
      },
    };
  }
}

/** A replica that watches, with as much of a fleet around it as it is given. */
class ModelReplica {
  readonly epochs: Epochs;
  readonly history: History;
  readonly stored: StoredEpochs | undefined;
  readonly hasBus: boolean;
  readonly #clock: SleepyClock;
  /** The history that what it holds is of; nothing where it holds nothing. */
  holds: number | undefined = undefined;
  /** A history ended while it slept: until somebody tells it, it cannot know. */
  mayBeWrong = false;
  /** Its history is gone, as somebody says, and no quorum has said yet how far the new one is. */
  isOutdated = false;
  readonly #world: World;
  readonly #roster: Roster;

  constructor(name: string, world: World, has: { readonly bus: boolean; readonly redis: boolean }) {
    let ids = 0;
    const { redis } = world;
    const clock = new SleepyClock(world.clock);
    this.#clock = clock;
    this.#world = world;
    this.hasBus = has.bus;
    this.history = new History(clock);
    this.epochs = new Epochs(() => `${name}-${ids++}`);
    this.#roster = new Roster(clock, () => {});
    if (has.bus) this.epochs.remember(this.#roster);
    this.epochs.onChange(({ t, by }) => {
      if (t !== "replaced" || by === this) return;
      this.holds = undefined;
      this.isOutdated = true;
    });
    const inner: SharedStore = {
      get: (key) => (redis.isUp && !this.isAsleep ? redis.store.get(key) : Promise.reject(new Error("away"))),
      set: (...entry) =>
        redis.isUp && !this.isAsleep ? redis.store.set(...entry) : Promise.reject(new Error("away")),
    };
    this.stored = has.redis
      ? new StoredEpochs({
          store: new GuardedStore(inner, clock),
          clock,
          epochs: this.epochs,
          probe: this.#probe,
        })
      : undefined;
  }

  get isAsleep(): boolean {
    return this.#clock.isAsleep;
  }

  set isAsleep(isAsleep: boolean) {
    this.#clock.isAsleep = isAsleep;
  }

  readonly #probe = async (): Promise<HeaderView> => {
    await settle();
    if (this.isAsleep) throw new Error("asleep");
    const { clusterId, revision, raftTerm } = this.#world.etcd;
    return { clusterId, memberId: 1n, revision, raftTerm };
  };

  /** Reads something by a quorum, as hubs do all the time, and holds it. */
  async read(): Promise<void> {
    const before = this.history.mark;
    const header = await this.#probe();
    if (header.clusterId !== this.history.clusterId && this.history.clusterId !== undefined) {
      this.history.expectAnother();
      this.epochs.repinned(header.clusterId);
      this.holds = undefined;
    }
    if (this.isOutdated) this.history.replaceWith(header);
    else if (this.history.judge(header, before) === "replaced") {
      this.holds = undefined;
      this.epochs.replaced(header, this);
    }
    this.isOutdated = false;
    if (this.holds === undefined) this.holds = this.#world.etcd.history;
    await this.epochs.settle(header.clusterId, this.#probe);
    this.epochs.saw(header);
  }

  /** Says who it is, as replicas do once a second. */
  async tell(): Promise<void> {
    const record = this.epochs.current;
    const { bus, chance } = this.#world;
    if (record === undefined || !this.hasBus || !bus.isUp) return;
    for (const other of bus.fleet) {
      if (other === this || other.isAsleep || !other.hasBus || chance.int(5) === 0) continue;
      for (let times = chance.int(8) === 0 ? 2 : 1; times > 0; times--) other.#hear(this, record);
    }
  }

  #hear(other: ModelReplica, record: NonNullable<Epochs["current"]>): void {
    const name = [...this.#world.bus.fleet].indexOf(other);
    this.#roster.heard(String(name), record, {
      ...{ name: "", tier: "", programVersion: "", uptimeSeconds: 0n, isDraining: false, isLeaving: false },
      ...{ isQuestion: false, revision: record.revision, raftTerm: record.raftTerm, compactRevision: 0n },
      ...{ stats: [], aliases: [], replaced: [], $typeName: "etcdedge.Presence" },
    } as never);
    this.epochs.heard(record);
  }

  stop(): void {
    this.stored?.[Symbol.dispose]();
    this.#roster.close();
  }
}

class Run {
  readonly #chance: Chance;
  readonly #world: World;
  readonly #has: { readonly bus: boolean; readonly redis: boolean };
  readonly #fleet = new Set<ModelReplica>();
  /** Whether a restored backup has a lower term than what was before, as it mostly has. */
  readonly #termTells: boolean;
  #names = 0;
  #histories = 1;
  /** Entries of the shared store, by key, and the history each was read of. */
  readonly #entries = new Map<string, number>();

  constructor(seed: number, has: { readonly bus: boolean; readonly redis: boolean }) {
    this.#chance = seeded(seed);
    this.#has = has;
    this.#termTells = seed % 2 === 0;
    const clock = new FakeClock();
    this.#world = {
      ...{ clock, chance: this.#chance, bus: { isUp: true, fleet: this.#fleet } },
      etcd: { clusterId: 7n, history: 1, revision: 100n, raftTerm: 1_000n },
      redis: { isUp: true, store: new InProcessStore(clock, 1 << 20) },
    };
  }

  get #awake(): readonly ModelReplica[] {
    return [...this.#fleet].filter(({ isAsleep }) => !isAsleep);
  }

  async play(): Promise<void> {
    for (let i = 0; i < 3; i++) await this.#start();
    for (let i = 0; i < steps; i++) await this.#step();
    await this.#quieten();
    for (const replica of this.#fleet) replica.stop();
  }

  async #start(): Promise<void> {
    const replica = new ModelReplica(`r${this.#names++}`, this.#world, this.#has);
    // Those who are there answer the question of one who comes.
    this.#fleet.add(replica);
    for (const other of this.#awake) await other.tell();
    await this.#read(replica);
  }

  /** A replica reads; one that has just lost its cluster asks who is there, which takes it a moment. */
  async #read(replica: ModelReplica): Promise<void> {
    let isDone = false;
    const reading = replica.read().finally(() => {
      isDone = true;
    });
    await settle();
    for (let i = 0; i < 100 && !isDone; i++) await this.#world.clock.advance(10);
    await reading;
  }

  async #step(): Promise<void> {
    const { etcd, redis, bus, clock } = this.#world;
    const one = [...this.#fleet][this.#chance.int(Math.max(1, this.#fleet.size))];
    switch (this.#chance.int(12)) {
      case 0:
        if (this.#fleet.size < 6) await this.#start();
        break;
      case 1:
        if (this.#awake.length > 1 && one !== undefined && this.#mayForget) {
          this.#fleet.delete(one);
          one.stop();
        }
        break;
      case 2:
        if (one !== undefined && !one.isAsleep && this.#awake.length > 1) {
          one.isAsleep = true;
          await this.#pass(12_000);
        }
        break;
      case 3:
        if (one !== undefined) one.isAsleep = false;
        break;
      case 4:
        redis.isUp = !redis.isUp || !this.#mayForget;
        break;
      case 5:
        if (this.#mayForget && this.#chance.int(2) === 0) {
          redis.store = new InProcessStore(clock, 1 << 20);
          this.#entries.clear();
        }
        break;
      case 6:
        bus.isUp = !bus.isUp || !this.#mayForget;
        break;
      case 7:
        if (this.#chance.int(3) === 0) await this.#restore();
        break;
      case 8:
        if (this.#chance.int(4) === 0) await this.#swap();
        break;
      default:
        etcd.revision += BigInt(this.#chance.int(20));
        if (this.#chance.int(10) === 0) etcd.raftTerm++;
    }
    await this.#pass(this.#chance.int(2_500));
  }

  /**
   * Once a history has ended it is told from the next one by its term, or else by what replicas remember of it: then
   * nothing that does happens to all of them.
   */
  get #mayForget(): boolean {
    return this.#termTells || this.#histories === 1;
  }

  /** A backup is restored while somebody watches. */
  async #restore(): Promise<void> {
    const { etcd, redis, bus } = this.#world;
    if (etcd.revision <= 61n) return;
    etcd.history = ++this.#histories;
    etcd.revision -= 60n;
    if (this.#termTells) etcd.raftTerm -= 50n;
    for (const replica of this.#fleet) replica.mayBeWrong ||= replica.isAsleep;
    if (!this.#mayForget) {
      redis.isUp = true;
      bus.isUp = true;
    }
    for (const replica of this.#awake) await this.#read(replica);
    // A store that was away is left alone for half a minute: what was seen stands there after that.
    if (!this.#mayForget) await this.#pass(35_000);
  }

  async #swap(): Promise<void> {
    const { etcd } = this.#world;
    etcd.history = ++this.#histories;
    etcd.clusterId++;
    etcd.revision = BigInt(10 + this.#chance.int(200));
    for (const replica of this.#awake) await this.#read(replica);
  }

  async #pass(ms: number): Promise<void> {
    for (let passed = 0; passed <= ms; passed += 500) {
      for (const replica of this.#awake) {
        await this.#read(replica);
        await replica.tell();
        this.#useStore(replica);
      }
      await this.#world.clock.advance(500);
    }
    for (const { holds, isOutdated, mayBeWrong } of this.#awake) {
      if (!isOutdated && !mayBeWrong)
        expect(holds, "what a replica holds is of the present history").toBe(this.#world.etcd.history);
    }
  }

  /** What is found under the present name must be of the present history. */
  #useStore({ stored, epochs }: ModelReplica): void {
    const { etcd } = this.#world;
    if (stored?.prefix === undefined || epochs.current?.clusterId !== etcd.clusterId) return;
    const found = this.#entries.get(stored.prefix);
    if (found !== undefined) expect(found, `under ${stored.prefix}`).toBe(etcd.history);
    const prefix = stored.prefixToWrite(etcd.revision);
    if (prefix !== undefined && this.#world.redis.isUp) this.#entries.set(prefix, etcd.history);
  }

  /** All is well again: then everybody who can hear of the others goes by one name. */
  async #quieten(): Promise<void> {
    const { redis, bus } = this.#world;
    redis.isUp = true;
    bus.isUp = true;
    for (const replica of this.#fleet) replica.isAsleep = false;
    await this.#pass(120_000);
    if (this.#has.bus || this.#has.redis || this.#termTells)
      for (const { holds } of this.#fleet) expect(holds, "in the end").toBe(this.#world.etcd.history);
    const names = new Set([...this.#fleet].map(({ epochs }) => epochs.current?.epoch.id));
    if (this.#has.bus || this.#has.redis) expect([...names]).toHaveLength(1);
    else expect(names.size).toBe(this.#fleet.size);
    expect(names).not.toContain(undefined);
  }
}

describe("rule 3, rule 32: replicas agree on the name of a history, and no two histories have one name", () => {
  it.each([
    ["NATS", { bus: true, redis: false }],
    ["Redis", { bus: false, redis: true }],
    ["NATS and Redis", { bus: true, redis: true }],
    ["nothing", { bus: false, redis: false }],
  ])("with %s", async (name, has) => {
    for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
      try {
        await new Run(seed, has).play();
      } catch (error) {
        throw new Error(`EPOCH_MODEL_SEED=${seed} (${name})`, { cause: error });
      }
    }
  });
});
