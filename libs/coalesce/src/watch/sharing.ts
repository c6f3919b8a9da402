import type { EventView, HeaderView } from "@etcd-edge/proto";
import type { KeyRange } from "../range/key-range.ts";
import type { WatchSource } from "../upstream/upstream-watch.ts";
import type { Feed } from "./feed.ts";

/** All events of a feed's range in (prev, upto], as they came in. */
export interface FeedAdvance {
  readonly prev: bigint;
  readonly upto: bigint;
  readonly events: readonly EventView[];
  readonly header: HeaderView;
}

/** Who shares the feeds of a hub with others: told of what they do, and where their watches come from. */
export interface FeedSharing extends WatchSource {
  /** A feed was made; its watch was asked for a moment ago. */
  onFeed(feed: Feed): void;
  /** Something about it has changed: it is live, or has another watch. */
  onChanged(feed: Feed): void;
  onAdvanced(feed: Feed, advance: FeedAdvance): void;
  /** etcd, or whoever has the watch, has answered a request for progress. */
  onProgressed(feed: Feed): void;
  onEnded(feed: Feed): void;
  /** Whether somebody elsewhere needs previous values of a feed. */
  wantsPrevKv(feed: Feed): boolean;
  /** Everything below this is compacted, as others were told by etcd; 0 where they were told nothing. */
  readonly compactRevision: bigint;
  /** What a feed does here, for people. */
  describe(feed: Feed): FeedSharingView;
  close(): void;
}

/** What a feed does among others. */
export interface FeedSharingView {
  /** Whether this process watches at etcd, or lives on another's frames. */
  readonly role: "ingesting" | "following";
  /** The replica it lives on. */
  readonly of: string | undefined;
  /** How many feeds of other replicas live on it. */
  readonly followers: number;
}

/** What a scope needs of its hub. */
export interface HubPort {
  /** Opens watches at etcd. */
  readonly source: WatchSource;
  /** The cluster behind, once a quorum has answered. */
  readonly clusterId: bigint | undefined;
  /** A quorum's answer, asked for now. */
  probe(range: KeyRange): Promise<HeaderView>;
  /** A revision that others have seen of the history that is ours too. */
  saw(revision: bigint): void;
}
