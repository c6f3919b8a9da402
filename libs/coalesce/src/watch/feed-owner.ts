import type { Clock } from "../ports.ts";
import type { KeyRange } from "../range/key-range.ts";
import type { WatchSource } from "../upstream/upstream-watch.ts";
import type { Feed } from "./feed.ts";
import type { FetchPrevious } from "./feed-upstream.ts";
import type { LogBudget } from "./log-budget.ts";
import type { FeedAdvance } from "./sharing.ts";
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

/** What a feed needs of the one who keeps the feeds. */
export interface FeedOwner {
  readonly source: WatchSource;
  readonly clock: Clock;
  readonly budget: LogBudget;
  readonly fetchPrevious: FetchPrevious;
  /**
   * Settles once a quorum has confirmed that history is still the one the feed knows (rule 3), and that the range may be read;
   * rejects if none did, with a ProbeError where etcd says so.
   */
  confirmHistory(range: KeyRange): Promise<void>;
  onOpened(feed: Feed): void;
  /** It has another upstream watch now, without a gap; or wants another. */
  onChanged(feed: Feed): void;
  /** Before `onAdvanced`, if something new is known: all events in (prev, upto]. */
  onNews(feed: Feed, advance: FeedAdvance): void;
  /** Whether somebody outside this process needs previous values of the feed. */
  wantsPrevKv(feed: Feed): boolean;
  /** So many more watchers got a response that was made for another. */
  onShared(more: number): void;
  /** The head has moved, past so many events; or a watcher has come up to it. */
  onAdvanced(feed: Feed, events: number): void;
  /** etcd has answered a request for progress. */
  onProgressed(feed: Feed): void;
  onLost(feed: Feed, code: number, message: string): void;
  /** It goes on with another upstream watch, where the last one ended. */
  onResumed(): void;
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
