import { areEpochNames } from "../epoch/epoch-codec.ts";
import type { Epochs } from "../epoch/epochs.ts";
import type { Clock, Timer } from "../ports.ts";
import type { HubPort } from "../watch/sharing.ts";
import { CreateBudget, type CreateRate } from "./create-budget.ts";
import { encodeEnvelope, readEnvelope } from "./envelope.ts";
import type { FabricContext } from "./fabric-context.ts";
import { createFabricCounters, type FabricCounters } from "./fabric-counters.ts";
import { FeedFabric } from "./feed-fabric.ts";
import type { Digest, FabricBus } from "./ports.ts";
import { Roster } from "./roster.ts";

export interface FabricReplicaOptions {
  /** Unique for the life of the process: letters, digits and dashes. */
  readonly id: string;
  readonly bus: FabricBus;
  readonly clock: Clock;
  readonly digest: Digest;
  /** What the process calls the histories it knows: the other replicas are asked and told. */
  readonly epochs: Epochs;
  readonly reopenRate?: CreateRate;
  /** What others are told of this process, beside what the fabric knows itself. */
  readonly describe: () => ReplicaDescription;
}

export interface ReplicaDescription {
  /** For people: its host, mostly. */
  readonly name: string;
  readonly tier: string;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly compactRevision: bigint;
  readonly stats: ReadonlyMap<string, number>;
}

const tickMs = 250;
/** A tick that comes later than this shows that the process stood still. */
const stallMs = 1_000;
const presenceMs = 1_000;
const presenceChannel = "replicas";
const noEpoch = { id: "", number: 0n };

/**
 * This process among the others:
 *
 *     FabricReplica         who is there, how many watches may be opened at once
 *       FeedFabric          the feeds of one identity scope, one for each hub
 *         SharedWatch       a watch that is somebody else's if somebody has it, and ours if not
 *           Follower        lives on frames: whole, in order, repaired
 */
export class FabricReplica {
  readonly id: string;
  readonly roster: Roster;
  readonly budget: CreateBudget;
  readonly counters: FabricCounters = createFabricCounters();
  readonly #options: FabricReplicaOptions;
  readonly #context: FabricContext;
  readonly #scopes = new Set<FeedFabric>();
  readonly #stops: (() => void)[] = [];
  #timer: Timer | undefined = undefined;
  #tickedAt: number;
  #toldAt = Number.NEGATIVE_INFINITY;
  #isDraining = false;

  constructor(options: FabricReplicaOptions) {
    const { id, bus, clock, digest, epochs, reopenRate } = options;
    this.#options = options;
    this.id = id;
    this.roster = new Roster(clock, (gone) => {
      for (const scope of this.#scopes) scope.onReplicaGone(gone);
    });
    this.budget = new CreateBudget(clock, reopenRate);
    const { roster, budget, counters } = this;
    this.#context = { id, bus, clock, digest, epochs, roster, budget, counters };
    this.#tickedAt = clock.nowMs();
    this.#stops.push(
      bus.subscribe(presenceChannel, (data) => this.#onPresence(data)),
      bus.onConnection(() => this.#onConnection()),
      epochs.remember(this.roster),
      epochs.onChange(({ clusterId }) => {
        for (const scope of [...this.#scopes]) scope.onEpoch(clusterId);
        this.#tell(false);
      }),
    );
    this.#onConnection();
    this.#arm();
  }

  /** Whether others can be reached. */
  get isConnected(): boolean {
    return this.#options.bus.isConnected;
  }

  /** Everything below this is compacted, as others were told by etcd; 0 where they were told nothing. */
  get compactRevision(): bigint {
    return this.roster.compactRevisionOf(this.#options.epochs.current);
  }

  /** The scopes that are shared. */
  scopes(): Iterable<FeedFabric> {
    return this.#scopes;
  }

  /**
   * Shares the feeds of a hub.
   * @param scope names its identity scope, and all else that decides what its clients see: letters and digits
   */
  share(scope: string, hub: HubPort): FeedFabric {
    const fabric = new FeedFabric(this.#context, scope, hub, () => this.#scopes.delete(fabric));
    this.#scopes.add(fabric);
    return fabric;
  }

  /** Others take over what this replica watches at etcd; settles when they have, after two seconds at most. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#tell(false);
    await Promise.all([...this.#scopes].map((scope) => scope.drain()));
  }

  /** Leaves. Hubs that are still there go on by themselves. */
  close(): void {
    this.#say({ isLeaving: true });
    this.#timer?.stop();
    for (const stop of this.#stops.splice(0)) stop();
    for (const scope of [...this.#scopes]) scope.close();
    this.budget.close();
    this.roster.close();
  }

  #arm(): void {
    this.#timer = this.#options.clock.setTimer(tickMs, () => {
      this.#arm();
      this.#tick();
    });
  }

  #tick(): void {
    const now = this.#options.clock.nowMs();
    const lateMs = now - this.#tickedAt - tickMs;
    this.#tickedAt = now;
    const gapMs = lateMs >= stallMs ? lateMs : 0;
    if (gapMs > 0) this.roster.forgive();
    for (const scope of [...this.#scopes]) scope.tick(gapMs);
    if (now - this.#toldAt >= presenceMs) this.#tell(false);
  }

  #onConnection(): void {
    if (this.isConnected) {
      this.#tell(true);
      this.roster.asked();
    }
    for (const scope of [...this.#scopes]) scope.onConnection();
  }

  /** @param isQuestion the others are to say who they are as well */
  #tell(isQuestion: boolean): void {
    this.#toldAt = this.#options.clock.nowMs();
    this.#say({ isQuestion });
  }

  #say(what: { readonly isQuestion?: boolean; readonly isLeaving?: boolean }): void {
    const { bus, describe, epochs } = this.#options;
    if (!bus.isConnected) return;
    const record = epochs.current;
    const { name, tier, version, uptimeSeconds, compactRevision, stats } = describe();
    const sender = { replica: this.id, clusterId: record?.clusterId ?? 0n, epoch: record?.epoch ?? noEpoch };
    const value = {
      ...{ name, tier, programVersion: version, uptimeSeconds: BigInt(Math.round(uptimeSeconds)) },
      ...{ isDraining: this.#isDraining, compactRevision, ...what },
      ...{ revision: record?.revision ?? 0n, raftTerm: record?.raftTerm ?? 0n },
      ...(record && { aliases: [...record.aliases], replaced: [...record.replaced] }),
      stats: [...stats].map(([stat, count]) => ({
        name: stat,
        value: BigInt(Math.max(0, Math.round(count))),
      })),
    };
    bus.publish(presenceChannel, encodeEnvelope(sender, { case: "presence", value }));
  }

  #onPresence(data: Uint8Array): void {
    const reading = readEnvelope(data);
    if (reading.t !== "message") {
      this.counters[reading.t === "version" ? "ignoredVersion" : "ignoredMalformed"]++;
      return;
    }
    const { sender, body } = reading;
    if (sender.replica === this.id || body.case !== "presence") return;
    const { clusterId, epoch } = sender;
    const { revision, raftTerm, aliases, replaced, isQuestion } = body.value;
    if (!areEpochNames(aliases) || !areEpochNames(replaced)) {
      this.counters.ignoredMalformed++;
      return;
    }
    const record = clusterId === 0n ? undefined : { clusterId, epoch, revision, raftTerm, aliases, replaced };
    this.roster.heard(sender.replica, record, body.value);
    if (record !== undefined) this.#options.epochs.heard(record);
    if (isQuestion) this.#tell(false);
  }
}
