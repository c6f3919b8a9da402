import { readResponseHeader } from "@etcd-edge/proto";
import { type Clock, systemClock } from "@etcd-edge/runtime";
import { type Channel, type ChannelOptions, type ChannelState, StatusCode } from "@etcd-edge/transport";
import { type Endpoint, endpointKey } from "../endpoint.ts";
import { EndpointPool, type EndpointTransition } from "../endpoint-pool.ts";
import type { EndpointSource } from "../endpoint-set.ts";
import type { EndpointHealth } from "../health/endpoint-health.ts";
import { Outliers, type WorkRecord } from "../health/outliers.ts";
import type { MemberStatus, ProbeResult } from "../health/probe.ts";
import { Picker } from "../picker.ts";
import { verdictOf } from "./call-verdict.ts";
import { type ClusterAnswer, ClusterPin } from "./cluster-pin.ts";
import { isLook, probeRead, probeStatus } from "./member-probe.ts";
import type { ChannelUse, Upstream } from "./upstream.ts";

/** What a balancer is made of. All durations in milliseconds. */
export interface ChannelBalancerOptions {
  /** Who is upstream. Followed, not disposed of. */
  readonly source: EndpointSource;
  /** Makes a channel to an endpoint; called twice for each. What it is told by must be handed on to the channel. */
  readonly createChannel: (
    endpoint: Endpoint,
    use: ChannelUse,
    tells: Pick<ChannelOptions, "onState" | "onCallEnd">,
  ) => Channel;
  /** So many calls in a row that fail at one endpoint, while others serve, take it out for a while. Default 5; 0: never. */
  readonly outlierFailures?: number;
  /** Pause between two looks at an endpoint in use. Default 1000. */
  readonly probeIntervalMs?: number;
  /** Silence longer than this counts against an endpoint; the second in a row takes it out. Default 1000. */
  readonly probeTimeoutMs?: number;
  readonly onTransition?: (transition: EndpointTransition) => void;
  /** Another cluster has taken the place of the one before for good (rule 32). Before `onRepinned` listeners hear of it. */
  readonly onRepinned?: (clusterId: bigint, before: bigint) => void;
  readonly clock?: Clock;
}

interface Candidate {
  readonly upstream: Upstream;
  readonly priority: number;
  readonly weight: number;
}

/**
 * Spreads calls over the endpoints of a set: round robin, or by SRV priority and weight. Prefers endpoints that know
 * a leader and read; when there is none it uses the doubtful, and when there is none of those either it uses all, for a
 * wrong belief about everybody must not become an outage. Members of another cluster than most are never used (rule 32).
 *
 * Disposing closes every channel at once; calls under way fail with 14.
 */
export class ChannelBalancer implements AsyncDisposable {
  readonly #options: ChannelBalancerOptions;
  readonly #upstreams = new Map<string, Upstream>();
  readonly #pool: EndpointPool;
  readonly #picker = new Picker();
  readonly #unsubscribe: () => void;
  readonly #listeners = new Set<() => void>();
  readonly #repinListeners = new Set<(clusterId: bigint) => void>();
  readonly #pin: ClusterPin<string>;
  readonly #outliers: Outliers;
  readonly #work = new Map<Upstream, WorkRecord>();
  /** What each said when it was last looked at. */
  readonly #members = new Map<Upstream, MemberStatus>();
  /** Those that told nothing, because we showed no user. */
  readonly #guarded = new Set<Upstream>();
  #leader: Upstream | undefined;
  /** Those that are not known to be of no use. */
  #working: ReadonlySet<Upstream> = new Set();
  #candidates: readonly Candidate[] = [];
  #isPlain = true;
  #turn = 0;

  constructor(options: ChannelBalancerOptions) {
    const clock = options.clock ?? systemClock;
    this.#options = options;
    this.#outliers = new Outliers(options.outlierFailures ?? 5, clock);
    this.#pin = new ClusterPin({
      clock,
      lookAgain: () => this.#pool.recheck(),
      onRepinned: (clusterId, before) => this.#onRepinned(clusterId, before),
    });
    this.#follow();
    this.#pool = new EndpointPool({
      source: options.source,
      clock,
      probe: async (endpoint, signal) => {
        const upstream = this.#upstreams.get(endpointKey(endpoint));
        return upstream === undefined
          ? { t: "unreachable", error: "no longer in the set" }
          : await this.#probe(upstream, signal);
      },
      probeIntervalMs: options.probeIntervalMs ?? 1_000,
      probeTimeoutMs: options.probeTimeoutMs ?? 1_000,
      onTransition: (transition) => {
        options.onTransition?.(transition);
        this.#rank();
      },
    });
    // After the pool's own subscription: its view of the set must be the new one when we rank.
    this.#unsubscribe = options.source.subscribe(() => {
      this.#follow();
      this.#rank();
    });
    this.#rank();
  }

  /** Whom to ask next, or nothing if everybody was tried or the set is empty. */
  pick(tried?: ReadonlySet<Upstream>): Upstream | undefined {
    const candidates =
      tried === undefined || tried.size === 0
        ? this.#candidates
        : this.#candidates.filter(({ upstream }) => !tried.has(upstream));
    if (candidates.length === 0) return this.#pickAnyBut(tried);
    if (!this.#isPlain) return this.#picker.pick(candidates, () => "good")?.upstream;
    this.#turn = (this.#turn + 1) % 0x3fff_ffff;
    return candidates[this.#turn % candidates.length]?.upstream;
  }

  /** Those of which `pick` takes one now, with the weight of each: equal ones get equal shares. */
  choices(): ReadonlyMap<Upstream, number> {
    const first = Math.min(...this.#candidates.map(({ priority }) => priority));
    const usable = this.#candidates.filter(({ priority }) => priority === first);
    return new Map(usable.map(({ upstream, weight }) => [upstream, weight]));
  }

  /** True unless the last looks at this endpoint say that it is of no use, or it has left the set. */
  isWorking(upstream: Upstream): boolean {
    return this.#working.has(upstream);
  }

  /** What the member behind an endpoint said when it was last looked at; nothing where it is none, or not known yet. */
  memberOf(upstream: Upstream): MemberStatus | undefined {
    return this.#members.get(upstream);
  }

  /** Whether etcd there tells its status to users only (auth on, later than 3.4), as the last look found. */
  isGuarded(upstream: Upstream): boolean {
    return this.#guarded.has(upstream);
  }

  /**
   * An answer of this endpoint named a cluster. With auth on nothing else may tell it.
   * @returns whether the answer may be believed: it is of the cluster that is followed, or names none
   */
  heard({ key }: Upstream, clusterId: bigint): boolean {
    if (clusterId !== 0n && this.#upstreams.has(key) && this.#pin.answerOf(key) !== clusterId)
      this.#noteCluster(key, clusterId);
    return this.#pin.accepts(clusterId);
  }

  /**
   * Whether a unary answer may be shown to anybody. Its header is read only while it is not known which cluster is at the
   * other end: once told, it is the same one for as long as the connections stand.
   * @param answer the bytes of a response of etcd's
   */
  believes(upstream: Upstream, answer: Uint8Array): boolean {
    const isTold = typeof this.#pin.answerOf(upstream.key) === "bigint";
    return isTold || this.heard(upstream, readResponseHeader(answer).clusterId);
  }

  /** Calls when another cluster has taken the place of the one before: whatever is remembered of that is void. */
  onRepinned(listener: (clusterId: bigint) => void): () => void {
    this.#repinListeners.add(listener);
    return () => void this.#repinListeners.delete(listener);
  }

  /** Every endpoint of the set. */
  upstreams(): readonly Upstream[] {
    return [...this.#upstreams.values()];
  }

  /** The leader's endpoint, as the members said when they were last looked at; nothing while it is of no use. */
  leader(): Upstream | undefined {
    return this.#leader !== undefined && this.#working.has(this.#leader) ? this.#leader : undefined;
  }

  /** Asks all members who leads them, now, and returns the leader's endpoint if it is in the set. */
  async findLeader(signal: AbortSignal): Promise<Upstream | undefined> {
    await Promise.all(this.upstreams().map((upstream) => this.#askStatus(upstream, signal)));
    return this.#leader;
  }

  /** True if somebody answered the last look at him. */
  hasHealthy(): boolean {
    return this.#pool.snapshot().some(({ health }) => health.t === "healthy");
  }

  /** Everybody in the set, with what is believed of them. */
  snapshot(): readonly { readonly endpoint: Endpoint; readonly health: EndpointHealth }[] {
    return this.#pool.snapshot();
  }

  /** Calls after every change of who may be picked. Returns the way to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    this.#pin[Symbol.dispose]();
    await this.#pool[Symbol.asyncDispose]();
    for (const upstream of this.#upstreams.values()) close(upstream);
    this.#upstreams.clear();
    this.#candidates = [];
  }

  /** Who tells that it is of use has to read, too: a status comes from memory, whatever has become of the store. */
  async #probe(upstream: Upstream, signal: AbortSignal): Promise<ProbeResult> {
    const result = await this.#askStatus(upstream, signal);
    if (result.t !== "alive" || result.isGuarded === true) return result;
    const read = await probeRead(upstream.calls, signal);
    return read.t === "alive" ? result : read;
  }

  async #askStatus(upstream: Upstream, signal: AbortSignal): Promise<ProbeResult> {
    const result = await probeStatus(upstream.calls, signal);
    const { key } = upstream;
    const isKnown = this.#upstreams.get(key) === upstream;
    if (!isKnown || result.t !== "alive" || result.member === undefined) this.#members.delete(upstream);
    else this.#members.set(upstream, result.member);
    if (isKnown && result.t === "alive" && result.isGuarded === true) this.#guarded.add(upstream);
    else this.#guarded.delete(upstream);
    if (isKnown) this.#judgeCluster(upstream, result);
    this.#leader = this.#electLeader();
    return isKnown && this.#pin.isForeign(key)
      ? { t: "unreachable", error: "belongs to another cluster" }
      : result;
  }

  #judgeCluster(upstream: Upstream, result: ProbeResult): void {
    const { key } = upstream;
    const told = clusterOf(result);
    // Who does not tell is who it was, for as long as its connections stand.
    const known = this.#pin.answerOf(key);
    this.#noteCluster(key, told === "untold" && typeof known === "bigint" ? known : told);
    if (this.#pin.isForeign(key)) this.#members.delete(upstream);
  }

  #noteCluster(key: string, answer: ClusterAnswer): void {
    const before = this.#foreign();
    this.#pin.saw(key, answer, new Set(this.#upstreams.keys()));
    // One answer may be a verdict on others, who hear nothing of it until they are looked at.
    if (before !== this.#foreign()) this.#rank();
  }

  /** The keys of all that are foreign, as one string to compare. */
  #foreign(): string {
    return [...this.#upstreams.keys()].filter((key) => this.#pin.isForeign(key)).join();
  }

  #onRepinned(clusterId: bigint, before: bigint): void {
    this.#options.onRepinned?.(clusterId, before);
    for (const listener of [...this.#repinListeners]) listener(clusterId);
    // Others of the new cluster were ejected as foreign.
    this.#pool.recheck();
  }

  /** Of those who say that they lead, the one of the latest term: an old leader may not have heard of its end. */
  #electLeader(): Upstream | undefined {
    let best: { upstream: Upstream; raftTerm: bigint } | undefined;
    for (const [upstream, { memberId, leaderId, raftTerm }] of this.#members) {
      if (memberId === leaderId && (best === undefined || raftTerm > best.raftTerm))
        best = { upstream, raftTerm };
    }
    return best?.upstream;
  }

  /** The last resort of a call that failed on every candidate: those not tried, whatever is believed of them. */
  #pickAnyBut(tried: ReadonlySet<Upstream> | undefined): Upstream | undefined {
    for (const [key, upstream] of this.#upstreams) {
      if (tried?.has(upstream) !== true && !this.#pin.isForeign(key)) return upstream;
    }
    return undefined;
  }

  #follow(): void {
    const gone = new Set(this.#upstreams.keys());
    for (const endpoint of this.#options.source.current().endpoints) {
      const key = endpointKey(endpoint);
      if (!gone.delete(key)) this.#upstreams.set(key, this.#createUpstream(endpoint));
    }
    for (const key of gone) {
      const upstream = this.#upstreams.get(key);
      this.#upstreams.delete(key);
      if (upstream === undefined) continue;
      this.#members.delete(upstream);
      this.#guarded.delete(upstream);
      const work = this.#work.get(upstream);
      if (work !== undefined) this.#outliers.forget(work);
      this.#work.delete(upstream);
      retire(upstream);
    }
  }

  #createUpstream(endpoint: Endpoint): Upstream {
    const { createChannel } = this.#options;
    const key = endpointKey(endpoint);
    const onState = (state: ChannelState): void => {
      if (state.t === "transientFailure") this.#pool.reportUnreachable(endpoint, state.message);
      // Whoever took the connection may be another than before.
      else if (state.t === "ready") {
        this.#pin.forget(key);
        this.#pool.recheck(endpoint);
      }
    };
    const work = this.#outliers.add();
    const onCallEnd: ChannelOptions["onCallEnd"] = (outcome, call) => {
      const verdict = verdictOf(outcome, call, performance.now());
      if (verdict === "nothing" || isLook(call)) return;
      if (verdict === "served") work.succeeded();
      else if (work.failed()) {
        const why = outcome.code === StatusCode.cancelled ? "no answer by the deadline" : outcome.message;
        this.#pool.reportFailing(endpoint, `fails calls that others serve: ${why}`);
      }
    };
    const calls = createChannel(endpoint, "calls", { onState, onCallEnd });
    const streams = createChannel(endpoint, "streams", { onState });
    calls.connect();
    const upstream = { endpoint, key, calls, streams };
    this.#work.set(upstream, work);
    return upstream;
  }

  #rank(): void {
    const good: Candidate[] = [];
    const doubtful: Candidate[] = [];
    const all: Candidate[] = [];
    for (const { endpoint, health } of this.#pool.snapshot()) {
      const upstream = this.#upstreams.get(endpointKey(endpoint));
      if (upstream === undefined || this.#pin.isForeign(endpointKey(endpoint))) continue;
      const candidate = { upstream, priority: endpoint.priority, weight: endpoint.weight };
      all.push(candidate);
      if (health.t === "healthy") good.push(candidate);
      else if (health.t === "unknown" || health.t === "suspect") doubtful.push(candidate);
    }
    this.#candidates = good.length > 0 ? good : doubtful.length > 0 ? doubtful : all;
    this.#working = new Set([...good, ...doubtful].map(({ upstream }) => upstream));
    const [first] = this.#candidates;
    this.#isPlain = this.#candidates.every(
      (one) => one.priority === first?.priority && one.weight === first.weight,
    );
    for (const listener of [...this.#listeners]) listener();
  }
}

/** A member that has no leader, or is a learner, is of no use, and of its cluster all the same. */
function clusterOf(result: ProbeResult): ClusterAnswer {
  switch (result.t) {
    case "alive":
      return result.member?.clusterId ?? "untold";
    case "unreachable":
      return result.clusterId;
    case "silent":
      return undefined;
    default:
      return result satisfies never;
  }
}

/** How long the calls of an endpoint that left the set may go on. */
const retireGraceMs = 30_000;

function retire(upstream: Upstream): void {
  for (const channel of [upstream.calls, upstream.streams]) {
    channel.close(retireGraceMs).catch(() => channel.destroy()); // closing waits for peers; whatever fails, it must end
  }
}

function close(upstream: Upstream): void {
  upstream.calls.destroy();
  upstream.streams.destroy();
}
