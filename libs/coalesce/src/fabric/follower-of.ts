import type { Feed } from "../watch/feed.ts";
import type { Follower } from "./follower.ts";
import { SharedWatch } from "./shared-watch.ts";

/** Whose frames a feed lives on, if it lives on any. */
export function followerOf(feed: Feed | undefined): Follower | undefined {
  const watch = feed?.watch;
  return watch instanceof SharedWatch ? watch.follower : undefined;
}
