import { type Beats, type Envelope, FeedRole, type Feeds } from "@etcd-edge/proto";
import type { KeyRange } from "../range/key-range.ts";
import type { UpstreamWatch, UpstreamWatchRequest, UpstreamWatchSink } from "../upstream/upstream-watch.ts";
import type { Feed } from "../watch/feed.ts";
import type { FeedAdvance, FeedSharing, FeedSharingView, HubPort } from "../watch/sharing.ts";
import { Announcer } from "./announcer.ts";
import type { FabricContext, ScopeKnowledge } from "./fabric-context.ts";
import type { FeedLink } from "./feed-link.ts";
import { FeedLinks } from "./feed-links.ts";
import { Follower } from "./follower.ts";
import { followerOf } from "./follower-of.ts";
import { readFrame } from "./frame.ts";
import { InterestTable, silenceMs } from "./interest-table.ts";
import { Placement } from "./placement.ts";
import { QuestionDesk } from "./question-desk.ts";
import { ScopeMembership } from "./scope-membership.ts";
import { SharedWatch, type SharedWatchHost } from "./shared-watch.ts";
import { Taps } from "./taps.ts";

/** How long a replica that leaves waits for others to have what it had. */
const handOverMs = 2_000;

/**
 * The feeds of one identity scope, shared with all replicas that have clients of that scope:
 *
 *     FeedLinks           our own feeds                InterestTable   those of others, and who lives on whose
 *     ScopeMembership     whether we are one of them, and the wire to the others
 *     Announcer           what we say                  QuestionDesk    what followers ask, and are answered
 *     Placement           whose turn it is             Taps            who lives on which frames here
 */
export class FeedFabric implements FeedSharing {
  readonly #context: FabricContext;
  readonly #hub: HubPort;
  readonly #onClosed: () => void;
  readonly #links: FeedLinks;
  readonly #table = new InterestTable();
  readonly #membership: ScopeMembership;
  readonly #announcer: Announcer;
  readonly #placement: Placement;
  readonly #questions: QuestionDesk;
  readonly #taps: Taps;
  readonly #watchHost: SharedWatchHost;
  readonly #changeListeners = new Set<() => void>();
  #isClosed = false;

  /** @param scope names the identity scope: equal where clients see the same keys, and no secret */
  constructor(context: FabricContext, scope: string, hub: HubPort, onClosed: () => void) {
    this.#onClosed = onClosed;
    this.#context = context;
    this.#hub = hub;
    this.#links = new FeedLinks(context.digest);
    this.#membership = new ScopeMembership(context, scope, hub, {
      onMessage: (replica, body) => this.#onMessage(replica, body),
      onEntering: () => this.#announcer.introduce(),
      onJoined: () => this.#announcer.refresh(),
      onLeaving: () => this.#announcer.gone(this.#links.all()),
      onLeft: () => this.#onLeft(),
    });
    const { links, table, membership } = {
      links: this.#links,
      table: this.#table,
      membership: this.#membership,
    };
    const knowledge: ScopeKnowledge = { context, links, table, membership };
    this.#announcer = new Announcer(knowledge);
    this.#placement = new Placement(knowledge, (feed) => this.wantsPrevKv(feed));
    this.#questions = new QuestionDesk(knowledge);
    this.#taps = new Taps(
      (feed) => membership.wire?.listenFrames(feed, (_, body) => this.#onFrame(feed, body)) ?? (() => {}),
    );
    this.#watchHost = this.#createWatchHost();
  }

  // ---- for people ----

  get state(): ScopeMembership["state"] {
    return this.#membership.state;
  }

  /** Other replicas with feeds in this scope. */
  get peers(): number {
    return this.#table.replicas;
  }

  /** What a feed does here, and whom it lives on. */
  describe(feed: Feed): FeedSharingView {
    const isAtEtcd = feed.via === "etcd";
    return {
      role: isAtEtcd ? "ingesting" : "following",
      of: isAtEtcd ? undefined : followerOf(feed)?.target.replica,
      followers: isAtEtcd ? this.#table.followersOf(this.#links.tokenOf(feed.range)).size : 0,
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
    const link = this.#links.find(feed.range);
    if (link === undefined || link.feed !== feed) return;
    this.#look(link);
    if (feed.via !== "etcd" || this.#membership.wire === undefined) return;
    if (advance.events.length > 0) this.#announcer.publish(link, feed, advance);
    else this.#announcer.beat(link, feed, true);
  }

  onProgressed(feed: Feed): void {
    const link = this.#links.find(feed.range);
    if (link?.feed === feed && feed.via === "etcd") this.#announcer.beat(link, feed, true);
  }

  onEnded(feed: Feed): void {
    const link = this.#links.find(feed.range);
    if (link === undefined || link.feed !== feed) return;
    this.#links.delete(link);
    this.#announcer.gone([link]);
  }

  wantsPrevKv(feed: Feed): boolean {
    const token = this.#links.tokenOf(feed.range);
    for (const { wantsPrevKv } of this.#table.partiesOf(token)) if (wantsPrevKv) return true;
    for (const { wantsPrevKv } of this.#table.followersOf(token)) if (wantsPrevKv) return true;
    return false;
  }

  get compactRevision(): bigint {
    const { epochs, roster } = this.#context;
    const { clusterId } = this.#hub;
    return clusterId === undefined ? 0n : roster.compactRevisionOf(epochs.recordOf(clusterId));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const follower of [...this.#taps.followers()]) follower.cancel();
    this.#membership.leave();
    this.#onClosed();
  }

  // ---- of the replica ----

  /** The history of a cluster has another name, or is another one. */
  onEpoch(clusterId: bigint): void {
    if (clusterId !== this.#hub.clusterId) return;
    this.#table.clear();
    this.#announcer.introduce();
  }

  /** The bus has come or gone. */
  onConnection(): void {
    if (!this.#context.bus.isConnected) return;
    if (this.#membership.state === "joined") {
      this.#announcer.introduce();
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
    if (this.#links.size > 0) this.#join();
    const { wire } = this.#membership;
    if (wire !== undefined && wire.clusterId !== this.#hub.clusterId) this.#membership.leave();
    this.#announcer.tick(now);
    for (const follower of [...this.#taps.followers()]) this.#placement.checkSilence(follower, now);
    for (const link of this.#links.all()) {
      link.noteHead(now);
      this.#placement.step(link, now);
    }
  }

  /** Others take over what this replica watches; settles when they have, or after two seconds. */
  async drain(): Promise<void> {
    this.#membership.isDraining = true;
    this.#announcer.refresh();
    const { clock } = this.#context;
    for (let waitedMs = 0; waitedMs < handOverMs && this.#placement.isNeeded; waitedMs += 50) {
      await new Promise<void>((resolve) => clock.setTimer(50, resolve));
    }
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
        this.#announcer.refresh();
        return;
      case "progressWanted":
        this.#questions.onProgressWanted(body.value);
        return;
      case "backlogWanted":
        this.#questions.onBacklogWanted(replica, body.value);
        return;
      case "backlog":
        this.#questions.onBacklog(body.value);
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
    this.#table.update(replica, feeds, (range) => this.#links.tokenOf(range), this.#now);
    this.#onTableChanged();
  }

  #onTableChanged(): void {
    const now = this.#now;
    for (const follower of [...this.#taps.followers()]) this.#placement.checkTarget(follower, now);
    for (const link of this.#links.all()) {
      if (followerOf(link.feed)?.target.isDraining === true) this.#placement.step(link, now);
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
    if (isUnknown) this.#announcer.askAgain();
  }

  #onFrame(feed: string, body: Envelope["body"]): void {
    if (body.case !== "frame") return;
    const frame = readFrame(body.value);
    const isOfFeed = frame !== undefined && this.#links.tokenOf(frame.range) === feed;
    if (isOfFeed) this.#taps.onFrame(feed, frame);
    else this.#context.counters.ignoredMalformed++;
  }

  // ---- our own feeds ----

  get #now(): number {
    return this.#context.clock.nowMs();
  }

  #join(): void {
    if (!this.#isClosed) this.#membership.join(this.#links.first?.range);
  }

  #onLeft(): void {
    this.#table.clear();
    this.#announcer.clear();
    for (const follower of [...this.#taps.followers()]) follower.cede(false);
  }

  #linkOf(range: KeyRange): FeedLink {
    const known = this.#links.find(range);
    if (known !== undefined) return known;
    const link = this.#links.add(range, this.#now);
    this.#announcer.look(link);
    return link;
  }

  /** Something may have changed about one of our feeds. */
  #look(link: FeedLink): void {
    const { role, feed } = link;
    if (feed === undefined) return;
    if (role !== FeedRole.STARTING) link.isNew = false;
    if (role === FeedRole.INGESTING) {
      if (link.wasFollowing) this.#context.counters.takeOvers++;
      link.wasFollowing = false;
      link.follows(undefined, this.#now);
    } else if (role === FeedRole.FOLLOWING) {
      link.wasFollowing = true;
      link.follows(followerOf(feed)?.target.feed, this.#now);
    }
    this.#announcer.look(link);
  }

  #createWatchHost(): SharedWatchHost {
    const { clock, bus, budget, counters } = this.#context;
    const followerHost = {
      clock,
      counters,
      listen: (feed: string, follower: Follower) => this.#taps.add(feed, follower),
      flush: () => bus.flush(),
      askBacklog: this.#questions.askBacklog.bind(this.#questions),
      askProgress: this.#questions.askProgress.bind(this.#questions),
    };
    return {
      clock,
      whenReady: () => this.#membership.joining,
      findTarget: (request) => this.#placement.findTarget(request),
      patienceMs: (request) => this.#placement.patienceMs(request),
      onChange: (listener) => {
        this.#changeListeners.add(listener);
        return () => void this.#changeListeners.delete(listener);
      },
      follow: (target, request, sink) => new Follower(followerHost, target, request, sink),
      openAtEtcd: (request, sink) => this.#hub.source.open(request, sink),
      takeBudget: ({ range, isAlone, via }) => {
        const isNew = this.#links.find(range)?.isNew === true;
        return via === undefined && (isNew || isAlone) ? true : budget.take();
      },
      confirmHistory: async ({ range }) => {
        await this.#hub.probe(range);
      },
    };
  }
}
