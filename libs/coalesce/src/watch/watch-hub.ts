import type { HeaderView } from "@etcd-edge/proto";
import type { Clock, Timer } from "../ports.ts";
import { contains, type KeyRange, rangeId } from "../range/key-range.ts";
import type { WatchSource } from "../upstream/upstream-watch.ts";
import { CatchUps } from "./catch-ups.ts";
import { Feed, type FeedEnd, type FeedOwner } from "./feed.ts";
import type { FetchPrevious } from "./feed-upstream.ts";
import { History } from "./history.ts";
import type { LogBudget } from "./log-budget.ts";
import { Narrowing } from "./narrowing.ts";
import { ProbeError, ProbeFlight, type SendProbe } from "./probe-flight.ts";
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
}

/** What is worth a line in the log. */
export type HubEvent =
  | { readonly t: "feedOpened" | "feedClosed"; readonly range: KeyRange; readonly isCatchUp: boolean }
  | { readonly t: "feedLost"; readonly range: KeyRange; readonly code: number; readonly message: string }
  | {
      readonly t: "feedMoved";
      readonly range: KeyRange;
      readonly member: string;
      readonly head: bigint;
      readonly quorum: bigint;
    }
  | { readonly t: "historyReplaced"; readonly revision: bigint; readonly epoch: number };

/** How often feeds are compared with the quorum (T of rule 16). */
const checkMs = 1_000;
/** How far behind a quorum's answer a feed may be in time (T_lag of rule 16). */
const lagMs = 2_000;

/**
 * The feeds of one identity scope: everybody in it sees the same keys, so equal ranges share a feed, and a range inside
 * another one's feed is served from that.
 */
export class WatchHub implements FeedOwner {
  readonly source: WatchSource;
  readonly clock: Clock;
  readonly budget: LogBudget;
  readonly fetchPrevious: FetchPrevious;
  readonly history: History;
  readonly #options: WatchHubOptions;
  readonly #probes: ProbeFlight;
  /** The feed of a range that is as far as the store, by range. */
  readonly #mains = new Map<string, Feed>();
  readonly #catchUps: CatchUps;
  readonly #narrowing: Narrowing;
  readonly #waiting = new Map<Feed, ((end: FeedEnd | undefined) => void)[]>();
  readonly #progressListeners = new Set<(feed: Feed) => void>();
  readonly #quorums: { readonly revision: bigint; readonly at: number }[] = [];
  #timer: Timer | undefined = undefined;
  /** Feeds lost to `etcdserver: no leader`, by member, since a member last took a feed. */
  readonly #leaderless = new Set<string>();
  readonly counters: HubCounters = {
    feedsOpened: 0,
    catchUpsOpened: 0,
    feedsLost: 0,
    feedsMoved: 0,
    eventsIn: 0,
    sharedDeliveries: 0,
  };

  constructor(options: WatchHubOptions) {
    this.#options = options;
    this.source = options.source;
    this.clock = options.clock;
    this.budget = options.budget;
    this.fetchPrevious = options.fetchPrevious;
    this.history = new History(options.clock);
    this.#probes = new ProbeFlight(options.sendProbe);
    this.#narrowing = new Narrowing({
      findOwn: (range) => this.#mains.get(rangeId(range)),
      openOwn: (range, from, prevKv) => this.#openMain(range, from, prevKv),
    });
    this.#catchUps = new CatchUps((range, from, prevKv) =>
      this.#open({ range, from, prevKv, isCatchUp: true }),
    );
  }

  /** All feeds, for people and metrics. */
  *feeds(): IterableIterator<Feed> {
    yield* this.#mains.values();
    yield* this.#catchUps.all();
  }

  get isIdle(): boolean {
    return this.#mains.size === 0 && this.#catchUps.size === 0;
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
    const verdict = this.history.judge(header, knownBefore);
    if (verdict === "foreign") throw new ProbeError(14, "the endpoint belongs to another cluster");
    if (verdict === "replaced") this.#onReplaced(header.revision);
    this.#noteQuorum(header.revision);
    return header;
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
  async prepare(range: KeyRange, revision: bigint, prevKv: boolean): Promise<(() => void) | FeedEnd> {
    const feed = this.#mainOf(range) ?? this.#openMain(range, revision, prevKv);
    const release = feed.hold();
    if (feed.hasOpened) return release;
    const end = await new Promise<FeedEnd | undefined>((resolve) => {
      const waiting = this.#waiting.get(feed);
      if (waiting === undefined) this.#waiting.set(feed, [resolve]);
      else waiting.push(resolve);
    });
    if (end === undefined) return release;
    release();
    return end;
  }

  /** Finds a feed for a watcher that hangs on none, at its position. */
  attach(watcher: Watcher): void {
    const { range, position } = watcher;
    const main = this.#mainOf(range);
    if (main?.canHold(watcher)) {
      main.attach(watcher);
    } else if (main === undefined && position >= this.history.known) {
      this.#openMain(range, this.history.known, watcher.wantsPrevKv).attach(watcher);
    } else {
      // Below the log, or without the previous values it wants: a feed that is behind fetches what it lacks.
      if (main !== undefined && watcher.wantsPrevKv) main.upgrade();
      this.#catchUps.attach(watcher, this.history.known);
    }
  }

  /** Lets a watcher go for good. */
  detach(watcher: Watcher): void {
    if (watcher.group === undefined) this.#catchUps.forget(watcher);
    else watcher.group.feed.detach(watcher);
  }

  /** Calls for every progress answer of a feed, and for every feed that advanced. Returns the way to stop that. */
  onProgress(listener: (feed: Feed) => void): () => void {
    this.#progressListeners.add(listener);
    return () => void this.#progressListeners.delete(listener);
  }

  /** Ends every feed. Watchers are not told. */
  close(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    for (const feed of [...this.feeds()]) feed.end({ t: "closed" });
  }

  // ---- of the feeds ----

  async confirmHistory(): Promise<void> {
    const [feed] = this.feeds();
    if (feed !== undefined) await this.probe(feed.range);
  }

  onOpened(feed: Feed): void {
    this.#leaderless.clear();
    this.#settle(feed, undefined);
  }

  onDelivered(receivers: number): void {
    this.counters.sharedDeliveries += receivers - 1;
  }

  onAdvanced(feed: Feed, events: number): void {
    this.counters.eventsIn += events;
    this.history.saw(feed.log.head);
    if (feed.isCatchUp) this.#joinMain(feed);
    for (const listener of [...this.#progressListeners]) listener(feed);
  }

  onProgressed(feed: Feed): void {
    for (const listener of [...this.#progressListeners]) listener(feed);
  }

  onLost(feed: Feed, code: number, message: string): void {
    this.counters.feedsLost++;
    if (message.includes("etcdserver: no leader") && feed.member !== undefined)
      this.#leaderless.add(feed.member);
    this.#report({ t: "feedLost", range: feed.range, code, message });
  }

  onEnded(feed: Feed, end: FeedEnd): void {
    const id = rangeId(feed.range);
    if (this.#mains.get(id) === feed) this.#mains.delete(id);
    const queued = this.#catchUps.remove(feed);
    this.#report({ t: "feedClosed", range: feed.range, isCatchUp: feed.isCatchUp });
    this.#settle(feed, end);
    for (const group of [...feed.groups]) {
      const affected = end.t === "replaced" ? [...group.live, ...group.lagging] : [...group.live];
      for (const watcher of affected) this.#conclude(watcher, end);
    }
    for (const watcher of queued) this.#reattach(watcher);
  }

  onEmpty(feed: Feed): void {
    feed.end({ t: "closed" });
  }

  onDetached(watcher: Watcher): void {
    if (watcher.stream.canTake) this.attach(watcher);
    else watcher.stream.fellBehind(watcher);
  }

  onDrained(watcher: Watcher, end: FeedEnd): void {
    this.#conclude(watcher, end);
  }

  // ---- inside ----

  /** The feed that has all of a range and is up to date: its own, or a wider one. */
  #mainOf(range: KeyRange): Feed | undefined {
    const own = this.#mains.get(rangeId(range));
    if (own !== undefined) return own;
    for (const feed of this.#mains.values()) {
      if (feed.range.t !== "point" && contains(feed.range, range)) return feed;
    }
    return undefined;
  }

  #openMain(range: KeyRange, from: bigint, prevKv: boolean): Feed {
    const feed = this.#open({ range, from, prevKv, isCatchUp: false });
    this.#mains.set(rangeId(range), feed);
    return feed;
  }

  #open(options: { range: KeyRange; from: bigint; prevKv: boolean; isCatchUp: boolean }): Feed {
    this.counters[options.isCatchUp ? "catchUpsOpened" : "feedsOpened"]++;
    this.#timer ??= this.clock.setTimer(checkMs, () => void this.#check());
    this.#report({ t: "feedOpened", range: options.range, isCatchUp: options.isCatchUp });
    return new Feed(this, options);
  }

  /** A catch-up's watchers change over once the up-to-date feed holds all that they still need (rule 23). */
  #joinMain(feed: Feed): void {
    if (feed.liveCount === 0) return;
    const main = this.#mainOf(feed.range);
    if (main === undefined) {
      if (feed.log.head >= this.history.known) this.#promote(feed);
      return;
    }
    for (const group of [...feed.groups]) {
      for (const watcher of [...group.live]) {
        if (!main.canHold(watcher, watcher.reached)) continue;
        feed.detach(watcher);
        main.attach(watcher);
      }
    }
  }

  /** A catch-up that has caught up and finds no feed to join is that feed from now on. */
  #promote(feed: Feed): void {
    const queued = this.#catchUps.remove(feed);
    feed.promote();
    // Off the stream of its own, where that can be done without a gap (rules 21, 22).
    if (feed.isProgressTrusted) feed.replace({ isAlone: false });
    this.#mains.set(rangeId(feed.range), feed);
    for (const watcher of queued) this.#reattach(watcher);
  }

  #settle(feed: Feed, end: FeedEnd | undefined): void {
    const waiting = this.#waiting.get(feed) ?? [];
    this.#waiting.delete(feed);
    for (const resolve of waiting) resolve(end);
  }

  /** Rule 15: only watchers whose next revision is gone are told so; the others go on elsewhere. */
  #conclude(watcher: Watcher, end: FeedEnd): void {
    watcher.group?.feed.detach(watcher);
    switch (end.t) {
      case "compacted":
        if (watcher.position + 1n < end.compactRevision)
          watcher.stream.cancelCompacted(watcher, end.compactRevision);
        else this.#reattach(watcher);
        return;
      case "replaced":
        watcher.stream.cancelCompacted(watcher, end.compactRevision);
        return;
      case "refused":
        watcher.stream.cancelRefused(watcher, end.reason);
        return;
      case "closed":
        this.#reattach(watcher);
        return;
      default:
        end satisfies never;
    }
  }

  #reattach(watcher: Watcher): void {
    this.onDetached(watcher);
  }

  #onReplaced(revision: bigint): void {
    this.#quorums.length = 0;
    this.#report({ t: "historyReplaced", revision, epoch: this.history.epoch });
    for (const feed of [...this.feeds()]) feed.end({ t: "replaced", compactRevision: revision });
  }

  #noteQuorum(revision: bigint): void {
    this.#quorums.push({ revision, at: this.clock.nowMs() });
    while (this.#quorums.length > 16) this.#quorums.shift();
  }

  /** What a quorum said at least `ageMs` ago. */
  #quorumOfAge(ageMs: number): bigint | undefined {
    const before = this.clock.nowMs() - ageMs;
    return this.#quorums.findLast(({ at }) => at <= before)?.revision;
  }

  /** Once a second while there are feeds: who is behind, and who could be let go. */
  async #check(): Promise<void> {
    this.#timer = undefined;
    const [first] = this.feeds();
    if (first === undefined) return;
    try {
      await this.probe(first.range);
    } catch {
      // No quorum, no verdict: nobody is moved for being behind something that nobody knows.
    }
    const late = this.#quorumOfAge(lagMs);
    const known = this.history.known;
    const asked = new Set<string>();
    const stuck: Feed[] = [];
    for (const feed of this.feeds()) {
      if (feed.state !== "live" || feed.log.head >= known) continue;
      // One request speaks for all watches of a stream.
      if (feed.streamId !== undefined && !asked.has(feed.streamId)) feed.requestProgress();
      asked.add(feed.streamId ?? "");
      if (!feed.isCatchUp && late !== undefined && feed.log.head < late) stuck.push(feed);
    }
    if (late !== undefined) await this.#moveStuck(stuck, late);
    this.#tidy();
    if (!this.isIdle) this.#timer ??= this.clock.setTimer(checkMs, () => void this.#check());
  }

  async #moveStuck(feeds: readonly Feed[], quorum: bigint): Promise<void> {
    // A range in which nothing happens looks the same as a member that is behind: the member's own store tells.
    const silent = new Set(feeds.filter((feed) => !feed.isProgressTrusted).map(({ member }) => member));
    const isBehind = new Map<string | undefined, boolean>();
    for (const member of silent) {
      const revision =
        member === undefined ? undefined : await this.#options.memberRevision(member).catch(() => undefined);
      isBehind.set(member, revision !== undefined && revision < quorum);
    }
    for (const feed of feeds) {
      const { member } = feed;
      if (member === undefined || feed.state !== "live" || feed.log.head >= quorum) continue;
      if (isBehind.get(member) === false) continue;
      this.counters.feedsMoved++;
      this.#report({ t: "feedMoved", range: feed.range, member, head: feed.log.head, quorum });
      feed.moveAway();
    }
  }

  #tidy(): void {
    this.#narrowing.step(this.#mains.values());
    for (const feed of this.#mains.values()) {
      feed.downgrade();
      if (this.#catchUps.wantsPrevKv(feed.range)) feed.upgrade();
    }
  }

  #report(event: HubEvent): void {
    this.#options.onEvent?.(event);
  }
}

/** Counts since the start. */
export interface HubCounters {
  feedsOpened: number;
  catchUpsOpened: number;
  feedsLost: number;
  feedsMoved: number;
  /** Events that etcd sent. */
  eventsIn: number;
  /** Responses to clients that needed none of etcd's own, because another client got the same. */
  sharedDeliveries: number;
}
