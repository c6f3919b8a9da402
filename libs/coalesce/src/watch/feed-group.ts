import type { KeyRange } from "../range/key-range.ts";
import type { Feed } from "./feed.ts";
import type { Watcher } from "./watcher.ts";

/** The watchers of one range on one feed, whose own range may be wider. */
export interface FeedGroup {
  readonly feed: Feed;
  readonly range: KeyRange;
  /** Those who have everything up to the feed's head. Not touched by events outside their range. */
  readonly live: Set<Watcher>;
  /** Those who have to be served from the log. */
  readonly lagging: Set<Watcher>;
}

export function createFeedGroup(feed: Feed, range: KeyRange): FeedGroup {
  return { feed, range, live: new Set(), lagging: new Set() };
}
