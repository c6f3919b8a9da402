import type { KeyRange } from "../range/key-range.ts";
import { RangeIndex } from "../range/range-index.ts";
import type { Feed } from "./feed.ts";
import { FeedGroup } from "./feed-group.ts";
import type { Watcher } from "./watcher.ts";

/** Who hangs on a feed: its watchers by range, and those who keep it open without being one. */
export class Membership {
  readonly #feed: Feed;
  readonly #onEmpty: () => void;
  readonly #groups = new RangeIndex<FeedGroup>();
  #size = 0;
  #prevKvCount = 0;
  /** Callers who wait for the feed to open, or have yet to attach what they opened it for. */
  #holders = 0;
  /** Of those, callers who want all of the range. */
  #keepers = 0;

  /** @param onEmpty the last watcher or holder has left */
  constructor(feed: Feed, onEmpty: () => void) {
    this.#feed = feed;
    this.#onEmpty = onEmpty;
  }

  get size(): number {
    return this.#size;
  }

  get wantsPrevKv(): boolean {
    return this.#prevKvCount > 0;
  }

  get groups(): RangeIndex<FeedGroup> {
    return this.#groups;
  }

  /** The watchers of exactly this range, if there are any. */
  groupOf(range: KeyRange): FeedGroup | undefined {
    return this.#groups.get(range);
  }

  /** Takes a watcher of no feed. @returns the group in which it is to be put */
  add(watcher: Watcher): FeedGroup {
    let group = this.#groups.get(watcher.range);
    if (group === undefined) {
      group = new FeedGroup(this.#feed, watcher.range);
      this.#groups.set(watcher.range, group);
    }
    watcher.group = group;
    watcher.range = group.range;
    this.#size++;
    if (watcher.wantsPrevKv) this.#prevKvCount++;
    return group;
  }

  /** Lets a watcher of this feed go, with its position brought up to date. */
  remove(watcher: Watcher, group: FeedGroup): void {
    group.dismiss(watcher);
    watcher.group = undefined;
    if (group.isEmpty) this.#groups.delete(group.range);
    this.#size--;
    if (watcher.wantsPrevKv) this.#prevKvCount--;
    this.#checkEmpty();
  }

  /** Whether somebody who is no watcher wants all of the range. */
  get isKept(): boolean {
    return this.#keepers > 0;
  }

  /**
   * Keeps the feed open without a watcher, until the returned function is called.
   * @param wantsWidth all of the range is wanted, and no part would do
   */
  hold(wantsWidth = false): () => void {
    this.#holders++;
    if (wantsWidth) this.#keepers++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holders--;
      if (wantsWidth) this.#keepers--;
      this.#checkEmpty();
    };
  }

  #checkEmpty(): void {
    if (this.#size === 0 && this.#holders === 0) this.#onEmpty();
  }
}
