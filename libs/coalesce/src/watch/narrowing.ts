import type { KeyRange } from "../range/key-range.ts";
import type { Feed } from "./feed.ts";

/** A wide feed is split into so many at most; one with more ranges on it is worth its width. */
const maxParts = 16;

/** What narrowing needs of the hub. */
export interface NarrowingPort {
  /** The up-to-date feed of exactly this range, if there is one. */
  findOwn(range: KeyRange): Feed | undefined;
  openOwn(range: KeyRange, from: bigint, prevKv: boolean): Feed;
}

/**
 * Wide feeds that nobody wide wants any more (rule 24): feeds of the ranges that are left are opened beside them, and once
 * those have covered as much, the watchers change over and the wide feed goes with the last of them.
 */
export class Narrowing {
  readonly #port: NarrowingPort;
  /** Feeds that were opened for it and have no watcher yet. */
  readonly #held = new Map<Feed, () => void>();

  constructor(port: NarrowingPort) {
    this.#port = port;
  }

  /** Called now and then with the up-to-date feeds. Does one step for each. */
  step(feeds: Iterable<Feed>): void {
    for (const feed of [...feeds]) if (isTooWide(feed)) this.#narrow(feed);
    for (const [feed, release] of this.#held) {
      if (feed.state !== "ended" && !feed.hasCovered) continue;
      this.#held.delete(feed);
      release();
    }
  }

  #narrow(wide: Feed): void {
    for (const group of [...wide.groups]) {
      const own = this.#port.findOwn(group.range);
      if (own === undefined) {
        const part = this.#port.openOwn(group.range, wide.log.head, wide.prevKvBase !== undefined);
        this.#held.set(part, part.hold());
      } else if (own.hasCovered) {
        // Who is too far behind stays, and keeps the wide feed, until it has caught up there.
        for (const watcher of [...group.watchers()]) {
          if (!own.canHold(watcher, watcher.reached)) continue;
          wide.detach(watcher);
          own.attach(watcher);
        }
      }
    }
  }
}

/** Without progress that can be trusted an idle part would never show that it covers what the wide feed has (rule 22). */
function isTooWide(feed: Feed): boolean {
  if (feed.range.t === "point" || feed.state !== "live" || !feed.isProgressTrusted) return false;
  if (feed.size === 0 || feed.isWidthWanted) return false;
  let parts = 0;
  for (const _ of feed.groups) if (++parts > maxParts) return false;
  return true;
}
