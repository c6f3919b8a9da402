import type { EventView, HeaderView } from "@etcd-edge/proto";
import type { Clock, Timer } from "../ports.ts";
import { hasKey, isSameRange, type KeyRange } from "../range/key-range.ts";
import { RangeIndex } from "../range/range-index.ts";
import type { Advance } from "../upstream/intake.ts";
import type { UpstreamEnd, WatchSource } from "../upstream/upstream-watch.ts";
import { Batch } from "./batch.ts";
import { EventLog, type Segment } from "./event-log.ts";
import { createFeedGroup, type FeedGroup } from "./feed-group.ts";
import { FeedUpstream, type FeedUpstreamListener, type FetchPrevious } from "./feed-upstream.ts";
import type { LogBudget } from "./log-budget.ts";
import type { Watcher } from "./watcher.ts";

/** Why a feed cannot go on. */
export type FeedEnd =
  | { readonly t: "compacted"; readonly compactRevision: bigint }
  /** In etcd's own words. */
  | { readonly t: "refused"; readonly reason: string }
  /** The cluster's history is another one (rules 3, 32): nothing in the log counts. */
  | { readonly t: "replaced"; readonly compactRevision: bigint }
  /** Nobody needs it. */
  | { readonly t: "closed" };

/**
 *     opening ──created──▶ live ◀───────────────────────┐
 *        ▲ │                │ │ every reader is behind    │ created
 *        │ │ lost      lost │ └──────────▶ full ──────────┤ (by way of opening)
 *        │ ▼                ▼                             │
 *        └─ retrying ◀──────┘     one reader is through ──┘
 *
 *     any of them ── compacted, refused, no watcher left ──▶ ended
 *
 * A feed that is live may have a second upstream watch beside the first, which takes its place once it has covered what
 * the first has (rule 22).
 */
type FeedState =
  | { readonly t: "opening"; readonly upstream: FeedUpstream }
  | { readonly t: "live"; readonly upstream: FeedUpstream; readonly next: FeedUpstream | undefined }
  | { readonly t: "retrying"; readonly timer: Timer }
  | { readonly t: "full" }
  | { readonly t: "ended"; readonly end: FeedEnd };

/** What a feed needs of the one who keeps the feeds. */
export interface FeedOwner {
  readonly source: WatchSource;
  readonly clock: Clock;
  readonly budget: LogBudget;
  readonly fetchPrevious: FetchPrevious;
  /** Settles once a quorum has confirmed that history is still the one the feed knows (rule 3); rejects if none did. */
  confirmHistory(): Promise<void>;
  onOpened(feed: Feed): void;
  /** One response went to so many watchers at once. */
  onDelivered(receivers: number): void;
  /** The head has moved, past so many events; or a watcher has come up to it. */
  onAdvanced(feed: Feed, events: number): void;
  /** etcd has answered a request for progress. */
  onProgressed(feed: Feed): void;
  onLost(feed: Feed, code: number, message: string): void;
  /** The feed is over. What its lagging watchers still need of the log they may have. */
  onEnded(feed: Feed, end: FeedEnd): void;
  /** The last watcher has left. */
  onEmpty(feed: Feed): void;
  /** A watcher cannot be served from this feed any more and hangs on none now. */
  onDetached(watcher: Watcher): void;
  /** A watcher has all there is of a feed that is over. */
  onDrained(watcher: Watcher, end: FeedEnd): void;
}

export interface FeedOptions {
  readonly range: KeyRange;
  /** The feed begins after this revision: base and coverage of its log. */
  readonly from: bigint;
  readonly prevKv: boolean;
  /** It is behind: it gets a stream of its own, and stops reading while all its watchers are full (rules 21, 23). */
  readonly isCatchUp: boolean;
}

const firstRetryMs = 50;
const longestRetryMs = 5_000;

/** One range, watched once at etcd, for any number of watchers. */
export class Feed {
  readonly range: KeyRange;
  readonly log: EventLog;
  #isCatchUp: boolean;
  /** prev_kv is known for every event above this; nothing while it is not asked for (rule 20). */
  prevKvBase: bigint | undefined;
  /** How many upstream watches it has opened after the first. */
  reopened = 0;
  readonly #owner: FeedOwner;
  readonly #groups = new RangeIndex<FeedGroup>();
  #state: FeedState;
  #size = 0;
  #liveCount = 0;
  #prevKvCount = 0;
  /** Callers who wait for it to open, or have yet to attach what they opened it for. */
  #holders = 0;
  #attempts = 0;
  #hasOpened = false;
  /** One later than rule 5 has it: etcd has compacted exactly the revision before, and this version is complete there. */
  #skipsKnown = false;

  constructor(owner: FeedOwner, options: FeedOptions) {
    this.#owner = owner;
    this.range = options.range;
    this.#isCatchUp = options.isCatchUp;
    this.log = new EventLog(options.from);
    this.prevKvBase = options.prevKv ? options.from : undefined;
    this.#state = this.#opening(undefined);
  }

  /** Whether it is behind, with a stream of its own. */
  get isCatchUp(): boolean {
    return this.#isCatchUp;
  }

  /** It is as far as the store, and the feed of its range from now on. */
  promote(): void {
    this.#isCatchUp = false;
  }

  get state(): FeedState["t"] {
    return this.#state.t;
  }

  /** How many watchers hang on it. */
  get size(): number {
    return this.#size;
  }

  get liveCount(): number {
    return this.#liveCount;
  }

  get groups(): Iterable<FeedGroup> {
    return this.#groups.values();
  }

  /** Whether etcd has said `created` once. */
  get hasOpened(): boolean {
    return this.#hasOpened;
  }

  /** Whether somebody watches all of it. */
  get isWidthWanted(): boolean {
    return this.#groups.get(this.range) !== undefined;
  }

  get member(): string | undefined {
    const { upstream } = this.#upstreams();
    return upstream?.member;
  }

  /** Equal for feeds whose upstream watches share a stream. */
  get streamId(): string | undefined {
    return this.#upstreams().upstream?.watch.streamId;
  }

  /** Whether its upstream watch has shown that it is where it was asked to be. */
  get hasCovered(): boolean {
    return this.#upstreams().upstream?.hasCovered === true;
  }

  get isProgressTrusted(): boolean {
    return this.#upstreams().upstream?.watch.gates.requestedProgress === true;
  }

  /** Whether a watcher at `position` gets from here all that it needs. */
  canHold(watcher: Watcher, position: bigint = watcher.position): boolean {
    if (this.#state.t === "ended" || position < this.log.base) return false;
    return !watcher.wantsPrevKv || (this.prevKvBase !== undefined && position >= this.prevKvBase);
  }

  /** Takes a watcher that it can hold, at its position. */
  attach(watcher: Watcher): void {
    let group = this.#groups.get(watcher.range);
    if (group === undefined) {
      group = createFeedGroup(this, watcher.range);
      this.#groups.set(watcher.range, group);
    }
    watcher.group = group;
    this.#size++;
    if (watcher.wantsPrevKv) this.#prevKvCount++;
    if (watcher.position >= this.log.head) {
      group.live.add(watcher);
      this.#liveCount++;
      if (this.#state.t === "full") this.#state = this.#opening(undefined);
    } else {
      group.lagging.add(watcher);
      watcher.stream.fellBehind(watcher);
    }
  }

  /** Lets a watcher go, with its position brought up to date. */
  detach(watcher: Watcher): void {
    const { group } = watcher;
    if (group?.feed !== this) return;
    watcher.position = watcher.reached;
    if (group.live.delete(watcher)) this.#liveCount--;
    else group.lagging.delete(watcher);
    watcher.group = undefined;
    if (group.live.size === 0 && group.lagging.size === 0) this.#groups.delete(group.range);
    this.#size--;
    if (watcher.wantsPrevKv) this.#prevKvCount--;
    this.#checkEmpty();
  }

  /** Keeps it open without a watcher, until the returned function is called. */
  hold(): () => void {
    this.#holders++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holders--;
      this.#checkEmpty();
    };
  }

  #checkEmpty(): void {
    if (this.#size === 0 && this.#holders === 0) this.#owner.onEmpty(this);
  }

  /**
   * Serves a lagging watcher one response from the log: small segments together, as etcd does for who is behind.
   * @returns whether it is still behind
   */
  pump(watcher: Watcher): boolean {
    const { group } = watcher;
    if (group?.feed !== this || group.live.has(watcher)) return false;
    if (watcher.position < this.log.base) {
      this.detach(watcher);
      this.#owner.onDetached(watcher);
      return false;
    }
    const segments = this.log.stretch(watcher.position);
    const last = segments.at(-1);
    if (last !== undefined) {
      const events = segments.flatMap((segment) => this.#within(group, segment));
      if (events.length > 0) watcher.take(new Batch(events, last.header));
      // What is sent may be too much for the client's connection, and end the stream.
      if (watcher.group !== group) return false;
      watcher.position = last.upto;
    }
    if (this.log.after(watcher.position) !== undefined) return true;
    this.#caughtUp(watcher, group);
    return false;
  }

  /** Asks etcd how far this range is. Nothing where the answer could not be trusted. */
  requestProgress(): void {
    this.#upstreams().upstream?.watch.requestProgress();
  }

  /** Goes over to another upstream watch without a gap: the old one stays until the new one has covered as much. */
  replace(change: { readonly prevKv?: boolean; readonly isAlone?: boolean; readonly avoid?: string }): void {
    if (this.#state.t !== "live" || this.#state.next !== undefined) return;
    const { upstream } = this.#state;
    const next = this.#open({
      prevKv: change.prevKv ?? upstream.prevKv,
      isAlone: change.isAlone ?? this.isCatchUp,
      avoid: change.avoid,
    });
    this.#state = { t: "live", upstream, next };
  }

  /**
   * Previous values are wanted from now on. Whoever asks supplies himself until `prevKvBase` is there, and asks again
   * now and then: a move may be abandoned.
   */
  upgrade(): void {
    if (this.prevKvBase === undefined) this.replace({ prevKv: true });
  }

  /** Stops asking for previous values, if nobody here wants them. */
  downgrade(): void {
    if (this.prevKvBase !== undefined && this.#prevKvCount === 0) this.replace({ prevKv: false });
  }

  /** Gives up the upstream watch it has, which says nothing more, for another. */
  moveAway(): void {
    const { upstream } = this.#upstreams();
    if (upstream === undefined) return;
    upstream.cancel();
    this.#retry(upstream.member, 0);
  }

  /** Ends it. Watchers that are live are told by the owner; those behind drain what the log has. */
  end(end: FeedEnd): void {
    if (this.#state.t === "ended") return;
    const { upstream, next } = this.#upstreams();
    if (this.#state.t === "retrying") this.#state.timer.stop();
    this.#state = { t: "ended", end };
    upstream?.cancel();
    next?.cancel();
    this.#owner.budget.forget(this.log);
    this.#owner.onEnded(this, end);
  }

  #upstreams(): { readonly upstream?: FeedUpstream | undefined; readonly next?: FeedUpstream | undefined } {
    return this.#state.t === "opening" || this.#state.t === "live" ? this.#state : {};
  }

  #opening(avoid: string | undefined): FeedState {
    const prevKv = this.prevKvBase !== undefined;
    return { t: "opening", upstream: this.#open({ prevKv, isAlone: this.isCatchUp, avoid }) };
  }

  #open(how: { prevKv: boolean; isAlone: boolean; avoid: string | undefined }): FeedUpstream {
    const { head } = this.log;
    // One less than needed, for the next revision may be compacted or in the future (rule 5).
    const needed = this.#skipsKnown ? head + 1n : head;
    const startRevision = needed < 1n ? 1n : needed;
    const { source, fetchPrevious } = this.#owner;
    const request = { range: this.range, startRevision, ...how };
    return new FeedUpstream(source, request, head, fetchPrevious, this.#listener);
  }

  readonly #listener: FeedUpstreamListener = {
    onCreated: (upstream) => {
      if (this.#state.t === "opening" && this.#state.upstream === upstream) {
        this.#state = { t: "live", upstream, next: undefined };
        this.#hasOpened = true;
        this.#owner.onOpened(this);
      }
      // What is new has to show how far it is: nothing may happen in its range for long.
      upstream.watch.requestProgress();
    },
    onAdvance: (upstream, advance, header) => {
      const { upstream: current, next } = this.#upstreams();
      if (upstream === current) this.#advance(advance, header);
      else if (upstream === next && upstream.coverage >= this.log.head) this.#swap(upstream, advance, header);
    },
    onProgressed: (upstream) => {
      if (upstream === this.#upstreams().upstream) this.#owner.onProgressed(this);
    },
    onEnd: (upstream, end) => {
      const { upstream: current, next } = this.#upstreams();
      // A move that does not succeed is abandoned; the old watch goes on (rule 22).
      if (upstream === next && current !== undefined)
        this.#state = { t: "live", upstream: current, next: undefined };
      else if (upstream === current) this.#onUpstreamEnd(upstream, end);
    },
  };

  #swap(next: FeedUpstream, advance: Advance, header: HeaderView): void {
    const { upstream: old } = this.#upstreams();
    if (!next.prevKv && this.#prevKvCount > 0 && old !== undefined) {
      // Somebody came meanwhile who wants what it does not bring.
      next.cancel();
      this.#state = { t: "live", upstream: old, next: undefined };
      return;
    }
    if (next.prevKv) this.prevKvBase ??= this.log.head;
    else this.prevKvBase = undefined;
    this.#state = { t: "live", upstream: next, next: undefined };
    old?.cancel();
    this.reopened++;
    this.#advance(advance, header);
  }

  #advance(advance: Advance, header: HeaderView): void {
    const { head } = this.log;
    if (advance.upto <= head) return;
    this.#attempts = 0;
    this.#skipsKnown = false;
    const fresh = advance.events.filter((event) => event.modRevision > head);
    for (const segment of this.log.append(fresh, advance.upto, header)) this.#distribute(segment);
    if (fresh.length > 0) this.#bound();
    this.#owner.onAdvanced(this, fresh.length);
  }

  #bound(): void {
    const { budget } = this.#owner;
    if (this.#state.t === "ended") return;
    const isFull = this.isCatchUp && this.#liveCount === 0 && this.#size > 0;
    if (isFull && this.log.bytes > budget.maxLogBytes) {
      // Reading on would only drop what nobody has taken yet. Cancelled, not held back (rule 4).
      this.#upstreams().upstream?.cancel();
      this.#upstreams().next?.cancel();
      this.#state = { t: "full" };
    } else {
      budget.grew(this.log);
    }
  }

  #distribute(segment: Segment): void {
    const own = this.#groups.get(this.range);
    if (own !== undefined) this.#deliver(own, segment, segment.events);
    if (this.#groups.size === (own === undefined ? 0 : 1)) return;
    const touched = new Map<FeedGroup, EventView[]>();
    for (const event of segment.events) {
      this.#groups.find(event.key, (group) => {
        if (group === own) return;
        const events = touched.get(group);
        if (events === undefined) touched.set(group, [event]);
        else events.push(event);
      });
    }
    for (const [group, events] of touched) this.#deliver(group, segment, events);
  }

  #deliver(group: FeedGroup, segment: Segment, events: readonly EventView[]): void {
    const batch = new Batch(events, segment.header);
    let receivers = 0;
    for (const watcher of group.live) {
      if (watcher.stream.canTake) {
        receivers++;
        watcher.take(batch);
      } else {
        if (segment.prev > watcher.position) watcher.position = segment.prev;
        group.live.delete(watcher);
        group.lagging.add(watcher);
        this.#liveCount--;
        watcher.stream.fellBehind(watcher);
      }
    }
    if (receivers > 1) this.#owner.onDelivered(receivers);
  }

  #within(group: FeedGroup, { events }: Segment): readonly EventView[] {
    if (isSameRange(group.range, this.range)) return events;
    return events.filter((event) => hasKey(group.range, event.key));
  }

  #caughtUp(watcher: Watcher, group: FeedGroup): void {
    group.lagging.delete(watcher);
    group.live.add(watcher);
    this.#liveCount++;
    if (this.#state.t === "full") this.#state = this.#opening(undefined);
    else if (this.#state.t === "ended") this.#owner.onDrained(watcher, this.#state.end);
    else if (this.isCatchUp) this.#owner.onAdvanced(this, 0);
  }

  #onUpstreamEnd(upstream: FeedUpstream, end: UpstreamEnd): void {
    switch (end.t) {
      case "lost":
        this.#owner.onLost(this, end.code, end.message);
        this.#retry(upstream.member, this.#attempts === 0 ? 0 : this.#backoffMs());
        return;
      case "refused":
        // Without a reason it says nothing that a client could be told: asked again.
        if (end.reason === "") this.#retry(upstream.member, this.#backoffMs());
        else this.end(end);
        return;
      case "compacted":
        this.#onCompacted(upstream, end.compactRevision);
        return;
      default:
        end satisfies never;
    }
  }

  /** Rules 5 and 15: when an upstream "compacted" is the end of the feed, and when it says nothing about it. */
  #onCompacted(upstream: FeedUpstream, compactRevision: bigint): void {
    const { head } = this.log;
    if (compactRevision > head + 1n) {
      this.end({ t: "compacted", compactRevision });
    } else if (upstream.hasCovered || compactRevision <= head) {
      this.#retry(upstream.member, this.#backoffMs());
    } else if (this.#skipsKnown || !upstream.watch.gates.isKnown) {
      this.#retry(upstream.member, this.#backoffMs());
    } else if (upstream.watch.gates.startAtCompact) {
      this.#skipsKnown = true;
      this.#state = this.#opening(undefined);
    } else {
      // This version leaves out deletes at the compacted revision itself: for its watchers that is gone as well.
      this.end({ t: "compacted", compactRevision: compactRevision + 1n });
    }
  }

  #backoffMs(): number {
    return Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(this.#attempts, 10));
  }

  #retry(avoid: string, delayMs: number): void {
    this.#upstreams().next?.cancel();
    this.#attempts++;
    this.reopened++;
    const timer = this.#owner.clock.setTimer(delayMs, () => {
      this.#owner.confirmHistory().then(
        () => {
          if (this.#state.t === "retrying" && this.#state.timer === timer) this.#state = this.#opening(avoid);
        },
        () => {
          if (this.#state.t === "retrying" && this.#state.timer === timer)
            this.#retry(avoid, this.#backoffMs());
        },
      );
    });
    this.#state = { t: "retrying", timer };
  }
}
