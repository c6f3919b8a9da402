import type { HeaderView } from "@etcd-edge/proto";
import type { Clock } from "../ports.ts";
import { isSameRange, type KeyRange } from "../range/key-range.ts";
import type { WatchSource } from "../upstream/upstream-watch.ts";
import { Feed } from "./feed.ts";
import type { FeedEnd, FeedOptions, FeedOwner } from "./feed-owner.ts";
import { FeedRegistry } from "./feed-registry.ts";
import type { FetchPrevious } from "./feed-upstream.ts";
import { History, type HistoryVerdict } from "./history.ts";
import type { HubCounters, HubEvent } from "./hub-event.ts";
import type { Lane } from "./lane.ts";
import { Liveness } from "./liveness.ts";
import type { LogBudget } from "./log-budget.ts";
import { Openings } from "./openings.ts";
import { ProbeError, ProbeFlight, type SendProbe } from "./probe-flight.ts";
import type { FeedSharing, HubPort } from "./sharing.ts";
import type { Watcher } from "./watcher.ts";

/** What a hub is made of. */
export interface WatchHubOptions {
  readonly source: WatchSource;
  readonly sendProbe: SendProbe;
  readonly fetchPrevious: FetchPrevious;
  /**
   * The revision of a member's own store, read on the connection of the feeds that are there: tells a member that is
   * behind from a range in which nothing happens, where progress cannot be trusted (rule 16).
   */
  readonly memberRevision: (member: string) => Promise<bigint>;
  /** Who answers and at which revision, asked of any member: for answers to clients that may not be told more. */
  readonly readHeader: () => Promise<HeaderView>;
  readonly clock: Clock;
  readonly budget: LogBudget;
  readonly onEvent?: (event: HubEvent) => void;
  /** Shares the feeds with hubs of the same scope elsewhere. */
  readonly createSharing?: ((hub: HubPort) => FeedSharing | undefined) | undefined;
}

const askAgainMs = 250;

/**
 * The feeds of one identity scope: everybody in it sees the same keys, so equal ranges share a feed, and a range inside
 * another one's feed is served from that.
 */
export class WatchHub {
  readonly clock: Clock;
  readonly history: History;
  readonly counters: HubCounters = {
    feedsOpened: 0,
    catchUpsOpened: 0,
    feedsLost: 0,
    feedsMoved: 0,
    resumes: 0,
    eventsIn: 0,
    sharedDeliveries: 0,
  };
  readonly #options: WatchHubOptions;
  readonly #probes: ProbeFlight;
  readonly #registry: FeedRegistry;
  readonly #openings = new Openings();
  readonly #liveness: Liveness;
  readonly #sharing: FeedSharing | undefined;
  readonly #owner: FeedOwner;
  #isClosed = false;
  #compactRevision = 0n;
  readonly #progressListeners = new Set<(feed: Feed) => void>();
  readonly #endListeners = new Set<(feed: Feed) => void>();
  /** Of the last quorum that answered. All zero before the first. */
  #lastHeader: HeaderView = { clusterId: 0n, memberId: 0n, revision: 0n, raftTerm: 0n };
  /** Feeds lost to `etcdserver: no leader`, by member, since a member last took a feed. */
  readonly #leaderless = new Set<string>();

  constructor(options: WatchHubOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.history = new History(options.clock);
    this.#probes = new ProbeFlight(options.sendProbe);
    this.#sharing = options.createSharing?.(this.#createPort());
    this.#owner = this.#createOwner();
    this.#registry = new FeedRegistry(
      (feedOptions) => this.#createFeed(feedOptions),
      this.history,
      options.clock,
    );
    this.#liveness = this.#createLiveness();
  }

  /** All feeds, for people and metrics. */
  feeds(): IterableIterator<Feed> {
    return this.#registry.all();
  }

  /** Watchers that go on with others of their connection, and those together. */
  *lanes(): IterableIterator<Lane> {
    for (const feed of this.feeds()) for (const group of feed.groups) yield* group.lanes;
  }

  get isIdle(): boolean {
    return this.#registry.isEmpty;
  }

  /** For how long the store has been ahead of the feed that is furthest behind, in milliseconds. */
  get lagMs(): number {
    let most = 0;
    for (const feed of this.feeds())
      if (!feed.isCatchUp) most = Math.max(most, this.#liveness.lagOf(feed.log.head));
    return most;
  }

  /** Members that have lost their leader, as far as feeds were there to notice. */
  get leaderlessMembers(): ReadonlySet<string> {
    return this.#leaderless;
  }

  /**
   * Asks a quorum for the revision of the store, and whether the range may be read.
   * @throws ProbeError
   */
  async probe(range: KeyRange): Promise<HeaderView> {
    // Taken late on purpose: a probe that waits for the one in the air is sent after this, never before.
    const knownBefore = this.history.known;
    const header = await this.#probes.probe(range);
    const verdict = this.#judge(header, knownBefore);
    if (verdict === "foreign") throw new ProbeError(14, "the endpoint belongs to another cluster");
    return header;
  }

  /** The header of the last quorum that answered: who it was, and in which term. All zero before the first. */
  get lastHeader(): HeaderView {
    return this.#lastHeader;
  }

  /**
   * A quorum has answered somebody else's linearizable read.
   * @param knownWhenSent `history.known` at the moment that read was sent
   * @returns whether it speaks of the history that the feeds have (rule 3)
   */
  noteQuorum(header: HeaderView, knownWhenSent: bigint): boolean {
    return this.#judge(header, knownWhenSent) === "same";
  }

  #judge(header: HeaderView, knownBefore: bigint): HistoryVerdict {
    const { clusterId } = this.history;
    const verdict = this.history.judge(header, knownBefore);
    if (verdict === "foreign") return verdict;
    this.#sharing?.onQuorum(header);
    if (verdict === "replaced") {
      this.#onReplaced(header.revision);
      // Another cluster has a history of its own, which has not been replaced: who shares that one already keeps it.
      if (this.history.clusterId === clusterId) this.#sharing?.onReplaced(header);
    }
    this.#lastHeader = header;
    this.#liveness.noteQuorum(header.revision);
    return verdict;
  }

  /** How old the state at a revision may be, in milliseconds: since a quorum last was no further. A minute at most. */
  ageOf(revision: bigint): number {
    return this.#liveness.ageOf(revision);
  }

  /** The header of a refusal, or nothing where nobody answers. */
  readHeader(): Promise<HeaderView | undefined> {
    return this.#options.readHeader().catch(() => undefined);
  }

  /**
   * Waits until a watch of the range from `revision` on would miss nothing.
   * @param revision of a quorum, asked after the watch was
   * @returns how to let go of what was opened, after the watcher is attached or given up; or why there is no feed
   */
  prepare(range: KeyRange, revision: bigint, prevKv: boolean): Promise<(() => void) | FeedEnd> {
    const registry = this.#registry;
    return this.#openings.wait(registry.mainOf(range) ?? registry.openMain(range, revision, prevKv));
  }

  /**
   * Keeps a feed that has all of a range, and misses nothing from `revision` on.
   * @param revision of a quorum
   * @returns the feed and how to let go of it; or why there is none
   */
  async keep(
    range: KeyRange,
    revision: bigint,
  ): Promise<{ readonly feed: Feed; readonly release: () => void } | FeedEnd> {
    const registry = this.#registry;
    const feed = registry.mainOf(range) ?? registry.openMain(range, revision, false);
    const release = feed.hold(isSameRange(feed.range, range));
    const opened = await this.#openings.wait(feed);
    if (typeof opened === "function") {
      opened();
      return { feed, release };
    }
    release();
    return opened;
  }

  /** Finds a feed for a watcher that hangs on none, at its position. */
  attach(watcher: Watcher): void {
    const floor = this.#floor;
    // Known to be gone: etcd need not be asked again by everybody.
    const isGone = watcher.position + 1n < floor && !this.#registry.mainOf(watcher.range)?.canHold(watcher);
    if (isGone) watcher.stream.cancelCompacted(watcher, floor);
    else this.#registry.attach(watcher);
  }

  /** Everything below this is compacted, as etcd has said to this process; 0 before it has. */
  get compactRevision(): bigint {
    return this.#compactRevision;
  }

  /** Who shares the feeds with other replicas, if they are shared. */
  get sharing(): FeedSharing | undefined {
    return this.#sharing;
  }

  get #floor(): bigint {
    const others = this.#sharing?.compactRevision ?? 0n;
    return others > this.#compactRevision ? others : this.#compactRevision;
  }

  /** Lets a watcher go for good. */
  detach(watcher: Watcher): void {
    this.#registry.detach(watcher);
  }

  /**
   * Another cluster has taken the place of the one that was watched (rule 32): as soon as anybody of it has said how far it
   * is, watchers are told "compacted" at that revision.
   */
  repin(): void {
    const { clusterId } = this.history;
    this.history.expectAnother();
    if (clusterId !== undefined) void this.#findSuccessor(clusterId);
  }

  /**
   * A quorum is asked, and a member who it is, which takes no permission: to a token of the cluster that is gone the new one may
   * say nothing at all, for etcd waits until it is as far as such a token says.
   */
  async #findSuccessor(gone: bigint): Promise<void> {
    while (!this.#isClosed && this.history.clusterId === gone) {
      const [feed] = this.feeds();
      if (feed === undefined) return;
      this.probe(feed.range).catch(() => undefined);
      const header = await this.readHeader();
      if (this.history.clusterId !== gone) return;
      if (header !== undefined && header.clusterId !== 0n && header.clusterId !== gone) {
        this.#judge(header, 0n);
        return;
      }
      await new Promise<void>((resolve) => this.clock.setTimer(askAgainMs, resolve));
    }
  }

  /** Calls for every progress answer of a feed, and for every feed that advanced. Returns the way to stop that. */
  onProgress(listener: (feed: Feed) => void): () => void {
    this.#progressListeners.add(listener);
    return () => void this.#progressListeners.delete(listener);
  }

  /** Calls for every feed that is over. Returns the way to stop that. */
  onFeedEnd(listener: (feed: Feed) => void): () => void {
    this.#endListeners.add(listener);
    return () => void this.#endListeners.delete(listener);
  }

  /** Ends every feed. Watchers are not told. */
  close(): void {
    this.#isClosed = true;
    this.#liveness.stop();
    for (const feed of [...this.feeds()]) feed.end({ t: "closed" });
    this.#sharing?.close();
  }

  #createFeed(options: FeedOptions): Feed {
    this.counters[options.isCatchUp ? "catchUpsOpened" : "feedsOpened"]++;
    this.#liveness.start();
    this.#report({ t: "feedOpened", range: options.range, isCatchUp: options.isCatchUp });
    const feed = new Feed(this.#owner, options);
    this.#sharing?.onFeed(feed);
    return feed;
  }

  #createOwner(): FeedOwner {
    const { clock, budget, fetchPrevious } = this.#options;
    const sharing = this.#sharing;
    return {
      source: sharing ?? this.#options.source,
      clock,
      budget,
      fetchPrevious,
      confirmHistory: async (range) => {
        await this.probe(range);
      },
      onOpened: (feed) => {
        this.#leaderless.clear();
        this.#openings.settle(feed, undefined);
        sharing?.onChanged(feed);
      },
      onChanged: (feed) => sharing?.onChanged(feed),
      onNews: (feed, advance) => sharing?.onAdvanced(feed, advance),
      wantsPrevKv: (feed) => sharing?.wantsPrevKv(feed) === true,
      onShared: (more) => {
        this.counters.sharedDeliveries += more;
      },
      onAdvanced: (feed, events) => {
        this.counters.eventsIn += events;
        this.history.saw(feed.log.head);
        if (feed.isCatchUp) {
          this.#reattach(this.#registry.join(feed));
          if (!feed.isCatchUp) sharing?.onChanged(feed);
        }
        this.#tellProgress(feed);
      },
      onProgressed: (feed) => {
        sharing?.onProgressed(feed);
        this.#tellProgress(feed);
      },
      onLost: (feed, code, message) => {
        this.counters.feedsLost++;
        if (message.includes("etcdserver: no leader") && feed.member !== undefined)
          this.#leaderless.add(feed.member);
        this.#report({ t: "feedLost", range: feed.range, code, message });
        sharing?.onChanged(feed);
      },
      onResumed: () => {
        this.counters.resumes++;
      },
      onEnded: (feed, end) => this.#onEnded(feed, end),
      onEmpty: (feed) => feed.end({ t: "closed" }),
      onDetached: (watcher) => this.#reattach([watcher]),
      onDrained: (watcher, end) => this.#conclude(watcher, end),
    };
  }

  #createLiveness(): Liveness {
    const { history, counters } = this;
    return new Liveness({
      clock: this.clock,
      get known() {
        return history.known;
      },
      feeds: () => this.feeds(),
      probe: (range) => this.probe(range),
      memberRevision: (member) => this.#options.memberRevision(member),
      onMove: (feed, member, quorum) => {
        counters.feedsMoved++;
        this.#report({ t: "feedMoved", range: feed.range, member, head: feed.log.head, quorum });
      },
      onChecked: () => this.#registry.tidy(),
    });
  }

  #onEnded(feed: Feed, end: FeedEnd): void {
    if (end.t === "compacted" && end.compactRevision > this.#compactRevision)
      this.#compactRevision = end.compactRevision;
    const queued = this.#registry.remove(feed);
    this.#sharing?.onEnded(feed);
    this.#report({ t: "feedClosed", range: feed.range, isCatchUp: feed.isCatchUp });
    this.#openings.settle(feed, end);
    for (const listener of [...this.#endListeners]) listener(feed);
    for (const group of [...feed.groups]) {
      const affected = end.t === "replaced" ? group.watchers() : group.upToDate();
      for (const watcher of [...affected]) this.#conclude(watcher, end);
    }
    this.#reattach(queued);
  }

  /** Rule 15: only watchers whose next revision is gone are told so; the others go on elsewhere. */
  #conclude(watcher: Watcher, end: FeedEnd): void {
    watcher.group?.feed.detach(watcher);
    switch (end.t) {
      case "compacted":
        if (watcher.position + 1n < end.compactRevision)
          watcher.stream.cancelCompacted(watcher, end.compactRevision);
        else this.#reattach([watcher]);
        return;
      case "replaced":
        watcher.stream.cancelCompacted(watcher, end.compactRevision);
        return;
      case "refused":
        watcher.stream.cancelRefused(watcher, end.reason);
        return;
      case "closed":
        this.#reattach([watcher]);
        return;
      default:
        end satisfies never;
    }
  }

  /** Watchers that hang on no feed get one: at once, or when their client reads again. */
  #reattach(watchers: readonly Watcher[]): void {
    for (const watcher of watchers) {
      if (watcher.stream.canTake) this.attach(watcher);
      else watcher.stream.fellBehind(watcher);
    }
  }

  #tellProgress(feed: Feed): void {
    for (const listener of [...this.#progressListeners]) listener(feed);
  }

  #onReplaced(revision: bigint): void {
    this.#compactRevision = 0n;
    this.#liveness.forget();
    this.#report({ t: "historyReplaced", revision, epoch: this.history.epoch });
    for (const feed of [...this.feeds()]) feed.end({ t: "replaced", compactRevision: revision });
  }

  /** Others have seen a replacement that we may never see: the new history can be past what we know (rule 3). */
  async #replaceHistory(): Promise<void> {
    for (;;) {
      const [first] = this.feeds();
      if (this.#isClosed) return;
      try {
        const header = await this.#probes.probe(first?.range ?? { t: "point", key: Uint8Array.of(0) });
        this.history.replaceWith(header);
        this.#onReplaced(header.revision);
        return;
      } catch {
        // Nobody says how far the new history is: watches cannot be told where to go on, and hear nothing until then.
        await new Promise<void>((resolve) => this.clock.setTimer(askAgainMs, resolve));
      }
    }
  }

  #createPort(): HubPort {
    const { history } = this;
    return {
      source: this.#options.source,
      get clusterId() {
        return history.clusterId;
      },
      probe: (range) => this.probe(range),
      replaceHistory: () => void this.#replaceHistory(),
      saw: (revision) => history.saw(revision),
    };
  }

  #report(event: HubEvent): void {
    this.#options.onEvent?.(event);
  }
}
