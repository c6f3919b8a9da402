import type { HeaderView } from "@etcd-edge/proto";
import type { Epochs } from "../epoch/epochs.ts";
import type { Clock } from "../ports.ts";
import { isSameRange, type KeyRange } from "../range/key-range.ts";
import type { WatchSource } from "../upstream/upstream-watch.ts";
import { Feed } from "./feed.ts";
import type { FeedEnd, FeedOptions, FeedOwner } from "./feed-owner.ts";
import { FeedRegistry } from "./feed-registry.ts";
import type { FetchPrevious } from "./feed-upstream.ts";
import type { History, HistoryMark } from "./history.ts";
import { createHubCounters, type HubCounters, type HubEvent } from "./hub-event.ts";
import type { Lane } from "./lane.ts";
import { Liveness } from "./liveness.ts";
import type { LogBudget } from "./log-budget.ts";
import { Openings } from "./openings.ts";
import type { SendProbe } from "./probe-flight.ts";
import { QuorumJudge } from "./quorum-judge.ts";
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
  /** What the process calls the histories it knows. Default: nobody else knows of them. */
  readonly epochs?: Epochs | undefined;
  /** Shares the feeds with hubs of the same scope elsewhere. */
  readonly createSharing?: ((hub: HubPort) => FeedSharing | undefined) | undefined;
}

/**
 * The feeds of one identity scope: everybody in it sees the same keys, so equal ranges share a feed, and a range inside
 * another one's feed is served from that.
 */
export class WatchHub {
  readonly clock: Clock;
  readonly counters: HubCounters = createHubCounters();
  readonly #options: WatchHubOptions;
  readonly #source: WatchSource = {
    open: (request, sink) => {
      this.counters.upstreamCreates++;
      return this.#options.source.open(request, sink);
    },
  };
  readonly #judge: QuorumJudge;
  readonly #registry: FeedRegistry;
  readonly #openings = new Openings();
  readonly #liveness: Liveness;
  readonly #sharing: FeedSharing | undefined;
  readonly #owner: FeedOwner;
  #compactRevision = 0n;
  readonly #progressListeners = new Set<(feed: Feed) => void>();
  readonly #endListeners = new Set<(feed: Feed) => void>();
  /** Feeds lost to `etcdserver: no leader`, by member, since a member last took a feed. */
  readonly #leaderless = new Set<string>();

  constructor(options: WatchHubOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.#judge = new QuorumJudge({
      clock: options.clock,
      sendProbe: options.sendProbe,
      epochs: options.epochs,
      readHeader: options.readHeader,
      anyRange: () => this.feeds().next().value?.range,
      onQuorum: (revision) => this.#liveness.noteQuorum(revision),
      onReplaced: (revision) => this.#onReplaced(revision),
    });
    this.#sharing = options.createSharing?.(this.#createPort());
    this.#owner = this.#createOwner();
    this.#registry = new FeedRegistry(
      (feedOptions) => this.#createFeed(feedOptions),
      this.history,
      options.clock,
    );
    this.#liveness = this.#createLiveness();
  }

  /** Which history it is, and how far. */
  get history(): History {
    return this.#judge.history;
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
  probe(range: KeyRange): Promise<HeaderView> {
    return this.#judge.probe(range);
  }

  /** The header of the last quorum that answered: who it was, and in which term. All zero before the first. */
  get lastHeader(): HeaderView {
    return this.#judge.lastHeader;
  }

  /**
   * A quorum has answered somebody else's linearizable read.
   * @param sent `history.mark` at the moment that read was sent
   * @returns whether it speaks of the history that the feeds have (rule 3)
   */
  noteQuorum(header: HeaderView, sent: HistoryMark): boolean {
    return this.#judge.judge(header, sent) === "same";
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
    this.#judge.expectAnother();
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
    this.#liveness.stop();
    for (const feed of [...this.feeds()]) feed.end({ t: "closed" });
    this.#sharing?.close();
    this.#judge.close();
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
      source: sharing ?? this.#source,
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

  #createPort(): HubPort {
    const { history } = this;
    return {
      source: this.#source,
      get clusterId() {
        return history.clusterId;
      },
      probe: (range) => this.probe(range),
      saw: (revision) => history.saw(revision),
    };
  }

  #report(event: HubEvent): void {
    this.#options.onEvent?.(event);
  }
}
