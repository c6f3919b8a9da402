import {
  type Backlog,
  type BacklogWanted,
  type Beats,
  create,
  type Envelope,
  FeedRole,
  FeedStateSchema,
  type Feeds,
  type Frame as FrameMessage,
  type HeaderView,
  type ProgressWanted,
} from "@etcd-edge/proto";
import type { Epochs } from "../epoch/epochs.ts";
import type { Clock } from "../ports.ts";
import { contains, type KeyRange, rangeId, toKeyRange, toRangeFields } from "../range/key-range.ts";
import type { UpstreamWatch, UpstreamWatchRequest, UpstreamWatchSink } from "../upstream/upstream-watch.ts";
import type { Feed } from "../watch/feed.ts";
import type { FeedAdvance, FeedSharing, FeedSharingView, HubPort } from "../watch/sharing.ts";
import { answerBacklog } from "./backlog.ts";
import { BeatSheet } from "./beat-sheet.ts";
import type { CreateBudget } from "./create-budget.ts";
import type { FabricCounters } from "./fabric-counters.ts";
import { FeedLink } from "./feed-link.ts";
import { Follower, type FollowerHost, memberName } from "./follower.ts";
import { fromFrameMessage, splitFrame, toFrameMessage } from "./frame.ts";
import { InterestTable, type Party, silenceMs } from "./interest-table.ts";
import type { Digest, FabricBus } from "./ports.ts";
import { outranks, rankReplicas } from "./rendezvous.ts";
import type { Roster } from "./roster.ts";
import { ScopeWire } from "./scope-wire.ts";
import { SharedWatch, type SharedWatchHost } from "./shared-watch.ts";
import { Taps } from "./taps.ts";

/** What all scopes of a replica have in common. */
export interface FabricContext {
  readonly id: string;
  readonly bus: FabricBus;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly epochs: Epochs;
  readonly roster: Roster;
  readonly budget: CreateBudget;
  readonly counters: FabricCounters;
}

/** Who may be said to be before us opens at etcd; the others wait so long for each in front of them (rule 26). */
const rankWaitMs = 250;
/** For a range that is new here somebody else may be about to open it as well. */
const newcomerWaitMs = 30;
/** How long others are given to say what they have, when we come. */
const rollCallMs = 50;
const joinTimeoutMs = 500;
const beatMs = 500;
const refreshMs = 3_000;
/** A replica that comes first for a range takes it back after it has been there for so long. */
const handBackMs = 5_000;
/** A move that has not succeeded by then is given up. */
const moveTimeoutMs = 5_000;
/** A wider feed has to have been there for so long before narrower ones go over to it. */
const wideSettleMs = 1_000;
/** How long a replica that leaves waits for others to have what it had. */
const handOverMs = 2_000;
const maxStatesPerMessage = 500;
/** A message's own fields and a seal take some of what may be sent. */
const payloadReserveBytes = 4_096;

/**
 *     apart ──a cluster is known, and there is a bus──▶ joining ──the others have answered──▶ joined
 *       ▲                                                  │                                    │
 *       └────────────────── the bus is gone, another cluster ◀──────────────────────────────────┘
 */
type Membership =
  | { readonly t: "apart" }
  | { readonly t: "joining"; readonly wire: ScopeWire; readonly done: Promise<void> }
  | { readonly t: "joined"; readonly wire: ScopeWire };

/** The feeds of one identity scope, shared with all replicas that have clients of that scope. */
export class FeedFabric implements FeedSharing {
  readonly #context: FabricContext;
  readonly #scope: string;
  readonly #hub: HubPort;
  readonly #onClosed: () => void;
  readonly #table = new InterestTable();
  readonly #links = new Map<string, FeedLink>();
  readonly #taps: Taps;
  readonly #beats: BeatSheet;
  readonly #changeListeners = new Set<() => void>();
  readonly #answers = new Map<bigint, (backlog: Backlog) => void>();
  readonly #progressWanted = new Map<string, Set<string>>();
  readonly #news = new Set<FeedLink>();
  #membership: Membership = { t: "apart" };
  #nextTag = 1n;
  #refreshedAt = 0;
  #isFlushing = false;
  #isDraining = false;
  #isClosed = false;

  /** @param scope names the identity scope: equal where clients see the same keys, and no secret */
  constructor(context: FabricContext, scope: string, hub: HubPort, onClosed: () => void) {
    this.#onClosed = onClosed;
    this.#context = context;
    this.#scope = scope;
    this.#hub = hub;
    this.#beats = new BeatSheet((beats) => this.#wire?.say({ case: "beats", value: { beats } }));
    this.#taps = new Taps(
      (feed) => this.#wire?.listenFrames(feed, (_, body) => this.#onFrame(feed, body)) ?? (() => {}),
    );
  }

  // ---- for people ----

  get state(): Membership["t"] {
    return this.#membership.t;
  }

  /** Other replicas with feeds in this scope. */
  get peers(): number {
    return this.#table.replicas;
  }

  /** What a feed does here, and whom it lives on. */
  describe(feed: Feed): FeedSharingView {
    const follower = followerOf(feed);
    const isAtEtcd = feed.via === "etcd";
    return {
      role: isAtEtcd ? "ingesting" : "following",
      of: isAtEtcd ? undefined : follower?.target.replica,
      followers: isAtEtcd ? this.#table.followersOf(this.#tokenOf(feed.range)).size : 0,
    };
  }

  // ---- of the hub ----

  open(request: UpstreamWatchRequest, sink: UpstreamWatchSink): UpstreamWatch {
    if (!request.isAlone) this.#linkOf(request.range);
    this.#join();
    return new SharedWatch(this.#watchHost, request, sink);
  }

  onFeed(feed: Feed): void {
    if (!feed.isCatchUp) this.#linkOf(feed.range).feed = feed;
  }

  onChanged(feed: Feed): void {
    if (feed.isCatchUp) return;
    const link = this.#linkOf(feed.range);
    link.feed = feed;
    this.#look(link);
  }

  onAdvanced(feed: Feed, advance: FeedAdvance): void {
    this.#hub.saw(advance.upto);
    const link = this.#links.get(rangeId(feed.range));
    if (link === undefined || link.feed !== feed) return;
    this.#look(link);
    if (feed.via !== "etcd" || this.#wire === undefined) return;
    if (advance.events.length > 0) this.#publish(link, feed, advance);
    else this.#beat(link, feed, true);
  }

  onProgressed(feed: Feed): void {
    const link = this.#links.get(rangeId(feed.range));
    if (link?.feed === feed && feed.via === "etcd") this.#beat(link, feed, true);
  }

  onEnded(feed: Feed): void {
    const id = rangeId(feed.range);
    const link = this.#links.get(id);
    if (link === undefined || link.feed !== feed) return;
    this.#links.delete(id);
    this.#news.delete(link);
    const gone = create(FeedStateSchema, { range: toRangeFields(link.range), role: FeedRole.GONE });
    this.#wire?.say({ case: "feeds", value: { isWhole: false, states: [gone] } });
  }

  wantsPrevKv(feed: Feed): boolean {
    const token = this.#tokenOf(feed.range);
    for (const { wantsPrevKv } of this.#table.partiesOf(token)) if (wantsPrevKv) return true;
    for (const { wantsPrevKv } of this.#table.followersOf(token)) if (wantsPrevKv) return true;
    return false;
  }

  get compactRevision(): bigint {
    const { epochs, roster } = this.#context;
    const { clusterId } = this.#hub;
    const ours = clusterId === undefined ? undefined : epochs.recordOf(clusterId);
    let floor = 0n;
    for (const { record, compactRevision } of roster.replicas()) {
      const isOurs = record?.clusterId === clusterId && record?.epoch.id === ours?.epoch.id;
      if (isOurs && compactRevision > floor) floor = compactRevision;
    }
    return floor;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const follower of [...this.#taps.followers()]) follower.cancel();
    this.#leave();
    this.#onClosed();
  }

  // ---- of the replica ----

  /** The history of a cluster has another name, or is another one. */
  onEpoch(clusterId: bigint): void {
    if (clusterId !== this.#hub.clusterId) return;
    this.#table.clear();
    this.#introduce();
  }

  /** The bus has come or gone. */
  onConnection(): void {
    if (!this.#context.bus.isConnected) return;
    if (this.#membership.t === "joined") {
      this.#introduce();
      for (const follower of [...this.#taps.followers()]) follower.rejoin();
    } else if (this.#links.size > 0) {
      this.#join();
    }
  }

  /** A replica is not there any more. */
  onReplicaGone(replica: string): void {
    this.#table.removeReplica(replica);
    this.#onTableChanged();
  }

  /** Called four times a second. @param gapMs for how much longer than that our process stood still */
  tick(gapMs: number): void {
    const now = this.#now;
    if (gapMs > 0) {
      this.#table.forgive(now);
      for (const follower of this.#taps.followers()) follower.heardAt = now;
    }
    this.#table.expire(now);
    if (this.#membership.t === "apart" && this.#links.size > 0) this.#join();
    if (this.#wire !== undefined && this.#wire.clusterId !== this.#hub.clusterId) this.#leave();
    if (now - this.#refreshedAt >= refreshMs) this.#refresh();
    if (this.#beats.isDue(now, beatMs)) this.#beatAll(now);
    for (const follower of [...this.#taps.followers()]) this.#checkSilence(follower, now);
    for (const link of [...this.#links.values()]) {
      link.noteHead(now);
      this.#step(link, now);
    }
  }

  /** Others take over what this replica watches; settles when they have, or after two seconds. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#refresh();
    const { clock } = this.#context;
    for (let waitedMs = 0; waitedMs < handOverMs && this.#isNeeded(); waitedMs += 50) {
      await new Promise<void>((resolve) => clock.setTimer(50, resolve));
    }
  }

  // ---- membership ----

  get #now(): number {
    return this.#context.clock.nowMs();
  }

  get #wire(): ScopeWire | undefined {
    return this.#membership.t === "apart" ? undefined : this.#membership.wire;
  }

  #join(): void {
    const { bus, clock } = this.#context;
    const { clusterId } = this.#hub;
    if (this.#membership.t !== "apart" || this.#isClosed || !bus.isConnected || clusterId === undefined)
      return;
    const wire = new ScopeWire({
      ...{ ...this.#context, replica: this.#context.id, clusterId, scope: this.#scope },
      listener: { onMessage: (replica, body) => this.#onMessage(replica, body) },
    });
    const limit = new Promise<void>((resolve) => clock.setTimer(joinTimeoutMs, resolve));
    const done = Promise.race([this.#enter(clusterId), limit]).then(
      () => this.#entered(wire),
      () => this.#leave(wire),
    );
    this.#membership = { t: "joining", wire, done };
  }

  async #enter(clusterId: bigint): Promise<void> {
    const { bus, clock, epochs, roster } = this.#context;
    const [range] = [...this.#links.values()].map((link) => link.range);
    const probe = (): Promise<HeaderView> => this.#hub.probe(range ?? { t: "point", key: Uint8Array.of(0) });
    await Promise.all([epochs.settle(clusterId, probe), bus.flush()]);
    // Others who come at the same moment learn of us before either of us decides anything.
    this.#introduce();
    if (roster.size > 0) await new Promise<void>((resolve) => clock.setTimer(rollCallMs, resolve));
  }

  #entered(wire: ScopeWire): void {
    if (this.#membership.t !== "joining" || this.#membership.wire !== wire) return;
    // Too slow is as good as never: what is heard from now on still counts.
    this.#membership = { t: "joined", wire };
    this.#refresh();
  }

  #leave(wire: ScopeWire | undefined = this.#wire): void {
    if (wire === undefined || wire !== this.#wire) return;
    const states = [...this.#links.values()].map((link) =>
      create(FeedStateSchema, { range: toRangeFields(link.range), role: FeedRole.GONE }),
    );
    if (states.length > 0) wire.say({ case: "feeds", value: { isWhole: false, states } });
    wire.close();
    this.#membership = { t: "apart" };
    this.#table.clear();
    this.#beats.clear();
    for (const follower of [...this.#taps.followers()]) follower.cede(false);
  }

  /** Says all we have and asks the others for theirs. */
  #introduce(): void {
    this.#wire?.say({ case: "rollCall", value: {} });
    this.#refresh();
  }

  // ---- what others say ----

  #onMessage(replica: string, body: Envelope["body"]): void {
    switch (body.case) {
      case "feeds":
        this.#onFeeds(replica, body.value);
        return;
      case "beats":
        this.#onBeats(replica, body.value);
        return;
      case "rollCall":
        this.#refresh();
        return;
      case "progressWanted":
        this.#onProgressWanted(body.value);
        return;
      case "backlogWanted":
        this.#onBacklogWanted(replica, body.value);
        return;
      case "backlog":
        this.#answers.get(body.value.tag)?.(body.value);
        return;
      case "frame":
      case "presence":
      case undefined:
        return; // not on these channels
      default:
        body satisfies never;
    }
  }

  #onFeeds(replica: string, feeds: Feeds): void {
    this.#table.update(replica, feeds, (range) => this.#tokenOf(range), this.#now);
    this.#onTableChanged();
  }

  #onTableChanged(): void {
    const now = this.#now;
    for (const follower of [...this.#taps.followers()]) this.#checkTarget(follower, now);
    for (const link of [...this.#links.values()]) {
      const follower = followerOf(link.feed);
      if (follower?.target.isDraining === true) this.#step(link, now);
    }
    for (const listener of [...this.#changeListeners]) listener();
  }

  #onBeats(replica: string, { beats }: Beats): void {
    const now = this.#now;
    let isUnknown = false;
    for (const { feed, prev, upto, logBase, prevKvFrom, isAnswer } of beats) {
      const party = this.#table.find(replica, feed);
      if (party === undefined) {
        isUnknown = true;
        continue;
      }
      const wasSilent = now - party.heardAt >= silenceMs;
      party.heardAt = now;
      if (upto > party.upto) party.upto = upto;
      party.logBase = logBase;
      party.prevKvBase = prevKvFrom;
      if (prev >= 0n && prev <= upto) this.#taps.onSign(feed, { prev, upto, isAnswer });
      if (wasSilent) for (const listener of [...this.#changeListeners]) listener();
    }
    // Somebody whose feeds we were not told of, or forgot.
    if (isUnknown && now - this.#refreshedAt >= beatMs) this.#introduce();
  }

  #onFrame(feed: string, body: Envelope["body"]): void {
    if (body.case !== "frame") return;
    const frame = this.#read(body.value);
    if (frame === undefined || this.#tokenOf(frame.range) !== feed) this.#context.counters.ignoredMalformed++;
    else this.#taps.onFrame(feed, frame);
  }

  #read(message: FrameMessage): ReturnType<typeof fromFrameMessage> {
    try {
      return fromFrameMessage(message);
    } catch {
      return undefined;
    }
  }

  #onProgressWanted({ to, feeds }: ProgressWanted): void {
    if (to !== this.#context.id) return;
    const streams = new Set<string | undefined>();
    for (const token of feeds) {
      const feed = this.#linkByToken(token)?.feed;
      if (feed?.via !== "etcd" || feed.state !== "live") continue;
      // One request speaks for all watches of a stream.
      if (!streams.has(feed.streamId)) feed.requestProgress();
      streams.add(feed.streamId);
    }
  }

  #onBacklogWanted(replica: string, wanted: BacklogWanted): void {
    if (wanted.to !== this.#context.id) return;
    const { tag } = wanted;
    const link = this.#linkByToken(wanted.feed);
    const range = wanted.range && toKeyRange(wanted.range);
    const feed = link?.role === FeedRole.INGESTING ? link.feed : undefined;
    const answer = feed && range && answerBacklog(feed, wanted, range, this.#maxFrameBytes);
    if (answer === undefined || link === undefined || range === undefined) {
      this.#wire?.sayTo(replica, { case: "backlog", value: { tag, isRefused: true } });
      return;
    }
    // From this moment on it gets every frame.
    this.#table.noteFollower(replica, link.token, range, this.#tokenOf(range), this.#now);
    const { frames, hasMore } = answer;
    this.#wire?.sayTo(replica, { case: "backlog", value: { tag, frames: [...frames], hasMore } });
  }

  // ---- what we say ----

  get #maxFrameBytes(): number {
    return Math.max(1_024, Math.min(512 << 10, this.#context.bus.maxPayloadBytes - payloadReserveBytes));
  }

  #publish(link: FeedLink, feed: Feed, { prev, upto, events, header }: FeedAdvance): void {
    if (this.#table.followersOf(link.token).size === 0) return;
    const { prevKvBase } = feed;
    const whole = { range: link.range, prev, upto, events, header, prevKvBase, isWithheld: false };
    for (const frame of splitFrame(whole, this.#context.bus.maxPayloadBytes - payloadReserveBytes)) {
      if (frame.isWithheld) this.#context.counters.framesWithheld++;
      this.#wire?.sayFrame(link.token, { case: "frame", value: toFrameMessage(frame) });
    }
  }

  #beat(link: FeedLink, feed: Feed, isAnswer: boolean): void {
    if (this.#wire === undefined || this.#table.replicas === 0) return;
    const { log, prevKvBase } = feed;
    this.#beats.add({
      ...{ feed: link.token, prev: log.lastEvent, upto: log.head, logBase: log.base, isAnswer },
      ...(prevKvBase === undefined ? {} : { prevKvFrom: prevKvBase }),
    });
  }

  #beatAll(now: number): void {
    this.#beats.beganAt(now);
    for (const link of this.#links.values()) {
      if (link.feed !== undefined && link.role === FeedRole.INGESTING) this.#beat(link, link.feed, false);
    }
  }

  /** Tells the others all we have. */
  #refresh(): void {
    this.#refreshedAt = this.#now;
    const links = [...this.#links.values()];
    this.#news.clear();
    const states = links.map((link) => this.#describe(link));
    for (const [i, link] of links.entries()) {
      const state = states[i];
      if (state !== undefined) link.isNews(state);
    }
    // As one message it says that there is nothing else.
    const isWhole = states.length <= maxStatesPerMessage;
    for (let at = 0; at === 0 || at < states.length; at += maxStatesPerMessage) {
      const part = states.slice(at, at + maxStatesPerMessage);
      this.#wire?.say({ case: "feeds", value: { isWhole, states: part } });
    }
  }

  #describe(link: FeedLink): ReturnType<FeedLink["describe"]> {
    const follows = followerOf(link.feed)?.target.feed ?? "";
    const wantsPrevKv = link.feed?.wantsPrevKv ?? false;
    return link.describe(follows, wantsPrevKv, this.#isDraining);
  }

  /** Something may have changed about one of our feeds. */
  #look(link: FeedLink): void {
    const { role, feed } = link;
    if (feed === undefined) return;
    const { counters } = this.#context;
    if (role !== FeedRole.STARTING) link.isNew = false;
    if (role === FeedRole.INGESTING && link.wasFollowing) {
      link.wasFollowing = false;
      counters.takeOvers++;
    } else if (role === FeedRole.FOLLOWING) {
      link.wasFollowing = true;
    }
    if (role === FeedRole.FOLLOWING) link.follows(followerOf(link.feed)?.target.feed, this.#now);
    if (role === FeedRole.INGESTING) link.follows(undefined, this.#now);
    this.#tell(link);
  }

  #tell(link: FeedLink): void {
    this.#news.add(link);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    void Promise.resolve().then(() => {
      this.#isFlushing = false;
      const states = [...this.#news].map((one) => ({ one, state: this.#describe(one) }));
      this.#news.clear();
      const news = states.filter(({ one, state }) => one.isNews(state)).map(({ state }) => state);
      for (let at = 0; at < news.length; at += maxStatesPerMessage) {
        const part = news.slice(at, at + maxStatesPerMessage);
        this.#wire?.say({ case: "feeds", value: { isWhole: false, states: part } });
      }
    });
  }

  // ---- whose turn it is ----

  /** What others have of a range that could serve a watch. */
  #findTarget({ range, coverage, prevKv, avoid, isAlone }: UpstreamWatchRequest): Party | undefined {
    if (this.#membership.t !== "joined" || !this.#context.bus.isConnected) return undefined;
    const now = this.#now;
    const token = this.#tokenOf(range);
    const link = isAlone ? undefined : this.#links.get(rangeId(range));
    let best: Party | undefined;
    for (const party of this.#table.ingestersOf(range, token, now)) {
      if (memberName(party.replica) === avoid || party.isDraining || party.logBase > coverage) continue;
      if (prevKv && (party.prevKvBase === undefined || party.prevKvBase > coverage)) continue;
      if (party.feed !== token && link?.mayWiden(party.feed, now) === false) continue;
      if (best === undefined || this.#isBetterTarget(party, best)) best = party;
    }
    return best;
  }

  #isBetterTarget(a: Party, b: Party): boolean {
    if (a.feed === b.feed) return outranks(this.#context.digest, a.feed, a.replica, b.replica);
    return contains(a.range, b.range);
  }

  /** Our place among those who have exactly this range and could open it. */
  #rankOf(token: string, avoid: string | undefined): number {
    const { id, digest } = this.#context;
    const others = [...this.#table.partiesOf(token)]
      .filter(({ replica, isDraining }) => !isDraining && memberName(replica) !== avoid)
      .map(({ replica }) => replica);
    return rankReplicas(digest, token, [id, ...others]).indexOf(id);
  }

  /** What is to become of one of our feeds, now that things may have changed. */
  #step(link: FeedLink, now: number): void {
    const { feed } = link;
    if (feed === undefined || feed.state !== "live") return;
    if (feed.isMoving) {
      link.movingSince ??= now;
      if (now - link.movingSince > moveTimeoutMs) feed.abandonMove();
      else feed.urgeMove();
      return;
    }
    link.movingSince = undefined;
    if (this.#membership.t !== "joined" || !this.#context.bus.isConnected) return;
    if (link.role === FeedRole.INGESTING) this.#stepIngesting(link, feed, now);
    else this.#stepFollowing(link, feed, now);
  }

  #stepIngesting(link: FeedLink, feed: Feed, now: number): void {
    if (feed.prevKvBase === undefined && this.wantsPrevKv(feed)) feed.replace({ prevKv: true, via: "etcd" });
    if (feed.isMoving) return;
    const { id, digest } = this.#context;
    for (const party of this.#table.ingestersOf(feed.range, link.token, now)) {
      if (party.isDraining || !link.isAlmostReached(party.upto) || party.logBase > feed.log.head) continue;
      if (feed.wantsPrevKv && (party.prevKvBase === undefined || party.prevKvBase > feed.log.head)) continue;
      const isWider = party.feed !== link.token;
      const yields = isWider
        ? now - party.since >= wideSettleMs && link.mayWiden(party.feed, now)
        : outranks(digest, link.token, party.replica, id);
      if (!yields && !(this.#isDraining && !isWider)) continue;
      this.#context.counters[this.#isDraining ? "handOvers" : "yields"]++;
      feed.replace({ via: "fabric", prevKv: feed.wantsPrevKv });
      link.movingSince = now;
      return;
    }
  }

  #stepFollowing(link: FeedLink, feed: Feed, now: number): void {
    const follower = followerOf(link.feed);
    if (follower === undefined || this.#isDraining) return;
    const { target } = follower;
    const isOwn = target.feed === link.token;
    const rank = this.#rankOf(link.token, target.isDraining ? memberName(target.replica) : undefined);
    const isOurs = rank === 0 && isOwn && now - link.since >= handBackMs;
    if (target.isDraining ? rank === 0 : isOurs) {
      if (!target.isDraining) this.#context.counters.handBacks++;
      link.wasFollowing = target.isDraining;
      feed.replace({ via: "etcd", prevKv: feed.wantsPrevKv || this.wantsPrevKv(feed) });
      link.movingSince = now;
    } else if (this.#findTarget(this.#asRequest(feed))?.feed !== target.feed && !target.isDraining) {
      // A wider feed is there, for at least as long as it takes to be sure of it.
      const wider = this.#findTarget(this.#asRequest(feed));
      if (wider === undefined || now - wider.since < wideSettleMs) return;
      if (!contains(wider.range, target.range) || !link.isAlmostReached(wider.upto)) return;
      feed.replace({ via: "fabric", prevKv: feed.wantsPrevKv });
      link.movingSince = now;
    }
  }

  #asRequest(feed: Feed): UpstreamWatchRequest {
    return {
      ...{ range: feed.range, coverage: feed.log.head, startRevision: feed.log.head, isAlone: false },
      ...{ prevKv: feed.wantsPrevKv, avoid: undefined, toward: undefined, via: "fabric" },
    };
  }

  /** Nothing was heard of the feed that somebody lives on. */
  #checkSilence(follower: Follower, now: number): void {
    if (now - follower.heardAt < silenceMs) return;
    this.#moveOn(follower, now);
  }

  /** Whether whom somebody lives on still has the watch. */
  #checkTarget(follower: Follower, now: number): void {
    const { target } = follower;
    const party = this.#table.find(target.replica, target.feed);
    if (party?.role === FeedRole.INGESTING) return;
    this.#moveOn(follower, now);
  }

  #moveOn(follower: Follower, now: number): void {
    const { target, request } = follower;
    for (const party of this.#table.ingestersOf(target.range, target.feed, now)) {
      if (party.feed !== target.feed || party.replica === target.replica) continue;
      if (request.prevKv && party.prevKvBase === undefined) continue;
      follower.retarget(party);
      return;
    }
    follower.cede(false);
  }

  /** Whether others still need what we watch at etcd. */
  #isNeeded(): boolean {
    const now = this.#now;
    for (const link of this.#links.values()) {
      const { feed } = link;
      if (
        feed === undefined ||
        link.role !== FeedRole.INGESTING ||
        this.#table.followersOf(link.token).size === 0
      )
        continue;
      const successors = this.#table.ingestersOf(link.range, link.token, now);
      if (successors.every(({ isDraining }) => isDraining)) return true;
    }
    return false;
  }

  // ---- ports ----

  readonly #watchHost: SharedWatchHost = this.#createWatchHost();
  readonly #followerHost: FollowerHost = this.#createFollowerHost();

  #createWatchHost(): SharedWatchHost {
    const fabric = this;
    return {
      get clock() {
        return fabric.#context.clock;
      },
      whenReady: () => (this.#membership.t === "joining" ? this.#membership.done : undefined),
      findTarget: (request) => this.#findTarget(request),
      patienceMs: ({ range, avoid, isAlone }) => {
        if (isAlone || this.#membership.t !== "joined" || !this.#context.bus.isConnected) return 0;
        if (this.#table.replicas === 0) return 0;
        const isNew = this.#links.get(rangeId(range))?.isNew === true;
        return (isNew ? newcomerWaitMs : 0) + rankWaitMs * this.#rankOf(this.#tokenOf(range), avoid);
      },
      onChange: (listener) => {
        this.#changeListeners.add(listener);
        return () => void this.#changeListeners.delete(listener);
      },
      follow: (target, request, sink) => new Follower(this.#followerHost, target, request, sink),
      openAtEtcd: (request, sink) => this.#hub.source.open(request, sink),
      takeBudget: ({ range, isAlone, via }) => {
        const isNew = this.#links.get(rangeId(range))?.isNew === true;
        return via === undefined && (isNew || isAlone) ? true : this.#context.budget.take();
      },
      confirmHistory: async ({ range }) => {
        await this.#hub.probe(range);
      },
    };
  }

  #createFollowerHost(): FollowerHost {
    const fabric = this;
    return {
      get clock() {
        return fabric.#context.clock;
      },
      get counters() {
        return fabric.#context.counters;
      },
      listen: (feed, follower) => this.#taps.add(feed, follower),
      flush: () => this.#context.bus.flush(),
      askBacklog: ({ target, request, after }, onAnswer) => {
        const tag = this.#nextTag++;
        this.#answers.set(tag, onAnswer);
        this.#wire?.sayTo(target.replica, {
          case: "backlogWanted",
          value: {
            ...{ to: target.replica, tag, feed: target.feed, after },
            ...{ range: toRangeFields(request.range), wantsPrevKv: request.prevKv },
          },
        });
        return () => void this.#answers.delete(tag);
      },
      askProgress: ({ replica, feed }) => this.#askProgress(replica, feed),
    };
  }

  #askProgress(replica: string, feed: string): void {
    const feeds = this.#progressWanted.get(replica) ?? new Set();
    this.#progressWanted.set(replica, feeds.add(feed));
    if (this.#progressWanted.size > 1 || feeds.size > 1) return;
    void Promise.resolve().then(() => {
      for (const [to, wanted] of this.#progressWanted) {
        this.#wire?.sayTo(to, { case: "progressWanted", value: { to, feeds: [...wanted] } });
      }
      this.#progressWanted.clear();
    });
  }

  // ---- names ----

  readonly #tokens = new Map<string, string>();

  #tokenOf(range: KeyRange): string {
    const id = rangeId(range);
    const known = this.#links.get(id)?.token ?? this.#tokens.get(id);
    if (known !== undefined) return known;
    const token = this.#context.digest(id);
    if (this.#tokens.size >= 10_000) this.#tokens.clear();
    this.#tokens.set(id, token);
    return token;
  }

  #linkOf(range: KeyRange): FeedLink {
    const id = rangeId(range);
    const known = this.#links.get(id);
    if (known !== undefined) return known;
    const link = new FeedLink(this.#tokenOf(range), range, this.#now);
    this.#links.set(id, link);
    this.#byToken.set(link.token, id);
    this.#tell(link);
    return link;
  }

  readonly #byToken = new Map<string, string>();

  #linkByToken(token: string): FeedLink | undefined {
    return this.#links.get(this.#byToken.get(token) ?? "");
  }
}

/** Whose frames a feed lives on, if it lives on any. */
function followerOf(feed: Feed | undefined): Follower | undefined {
  const watch = feed?.watch;
  return watch instanceof SharedWatch ? watch.follower : undefined;
}
