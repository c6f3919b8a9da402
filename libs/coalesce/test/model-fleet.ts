import { rangeId } from "../src/range/key-range.ts";
import { settle } from "./fake-clock.ts";
import { type Chance, ModelEtcd } from "./model-etcd.ts";
import { ModelReplica } from "./model-replica.ts";
import { ScriptedBus } from "./scripted-bus.ts";

/** Replicas on a bus, in front of an etcd. */
export class ModelFleet {
  readonly etcd: ModelEtcd;
  readonly bus: ScriptedBus;
  readonly replicas: ModelReplica[] = [];
  readonly #dice: Chance;

  constructor(chance: Chance, options: { readonly version: string; readonly members?: number }) {
    this.#dice = chance;
    this.etcd = new ModelEtcd(chance, { members: options.members ?? 3, version: options.version });
    this.bus = new ScriptedBus(chance);
  }

  start(maxPayloadBytes: number = 1 << 20, etcd: ModelEtcd = this.etcd): ModelReplica {
    const name = `r${this.replicas.length}`;
    const replica = new ModelReplica(name, { chance: this.#dice, etcd, bus: this.bus, maxPayloadBytes });
    this.replicas.push(replica);
    return replica;
  }

  get alive(): readonly ModelReplica[] {
    return this.replicas.filter(({ isAlive }) => isAlive);
  }

  get awake(): readonly ModelReplica[] {
    return this.alive.filter(({ isPaused }) => !isPaused);
  }

  /** Time passes for all who are awake. */
  async pass(ms: number): Promise<void> {
    for (const { clock } of this.awake) await clock.advance(ms);
  }

  /** Time passes, and all that can happen meanwhile does. */
  async run(ms: number, stepMs = 50): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      await this.flow();
      await this.pass(stepMs);
    }
    await this.flow();
  }

  /** A key is written, and all members know of it. */
  put(key: string): void {
    this.etcd.commit([{ key, isDelete: false, value: "v" }]);
    for (const member of this.etcd.members) member.applied = this.etcd.head;
  }

  /** Lets everything happen that can, without time passing. */
  async flow(): Promise<void> {
    for (let i = 0; i < 8; i++) {
      for (const { end } of this.alive) end.serve();
      this.bus.deliver(1_000);
      for (const stream of [...this.etcd.streams]) {
        while (!stream.isQuiet && this.etcd.streams.has(stream)) {
          stream.sync();
          stream.deliver();
        }
      }
      await settle();
    }
  }

  /** How many watches etcd sees of each range. */
  get watchesAtEtcd(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const stream of this.etcd.streams) {
      for (const range of stream.ranges) counts.set(rangeId(range), (counts.get(rangeId(range)) ?? 0) + 1);
    }
    return counts;
  }

  /** Who does what, for a test that fails. */
  explain(): string {
    return this.alive
      .flatMap(({ name, hub, sharing, fabric }) => [
        `${name} ${JSON.stringify(fabric.counters)} ${[...fabric.roster.replicas()].map(({ id }) => id)}`,
        ...[...hub.feeds()].map((feed) => {
          const { role, of, followers } = sharing?.describe(feed) ?? { role: "alone", of: "", followers: 0 };
          const prev = feed.wantsPrevKv ? ` prev ${feed.prevKvBase}` : "";
          const kind = `${feed.isCatchUp ? "catch-up " : ""}${feed.isMoving ? "moving " : ""}${feed.state}`;
          return `${name} ${rangeId(feed.range)} ${kind} ${role} ${of ?? ""} ${feed.log.base}..${feed.log.head}${prev} followers ${followers} of ${sharing?.state} ${sharing?.peers}`;
        }),
      ])
      .join("\n");
  }

  close(): void {
    for (const replica of this.alive) replica.kill();
  }
}
