import type { Clock } from "../ports.ts";
import { contains, type KeyRange, lowerBound, rangeId } from "../range/key-range.ts";
import { RangeIndex } from "../range/range-index.ts";
import type { Feed } from "./feed.ts";

/** Who came back from a wider feed waits so long before it goes to one again: wide watches that come and go move nobody. */
const againMs = 60_000;

/**
 * Narrow feeds with a wider one beside them: their watchers change over, each where nothing is missing in between, and the
 * narrow feed goes with the last of them. What `Narrowing` undoes when nobody wants the width any more.
 */
export class Widening {
  readonly #clock: Clock;
  /** When watchers of a range last changed over. */
  readonly #changedAt = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Called now and then with the up-to-date feeds. */
  step(feeds: Iterable<Feed>): void {
    const all = [...feeds];
    const wide = new RangeIndex<Feed>();
    for (const feed of all) if (feed.range.t !== "point" && feed.isWidthWanted) wide.set(feed.range, feed);
    if (wide.size === 0) return;
    for (const feed of all) {
      const wider = findWider(wide, feed);
      if (wider !== undefined && this.#mayChange(feed.range)) this.#change(feed, wider);
    }
  }

  #mayChange(range: KeyRange): boolean {
    const changedAt = this.#changedAt.get(rangeId(range));
    return changedAt === undefined || this.#clock.nowMs() - changedAt >= againMs;
  }

  #change(narrow: Feed, wider: Feed): void {
    for (const group of [...narrow.groups]) {
      for (const watcher of [...group.watchers()]) {
        if (!wider.canHold(watcher, watcher.reached)) continue;
        narrow.detach(watcher);
        wider.attach(watcher);
      }
    }
    if (narrow.size > 0) return; // the rest follows when it has caught up
    this.#changedAt.set(rangeId(narrow.range), this.#clock.nowMs());
    if (this.#changedAt.size > 10_000) this.#changedAt.clear();
  }
}

/** The feed of a wider range that has shown that it is there, if there is one. */
function findWider(wide: RangeIndex<Feed>, feed: Feed): Feed | undefined {
  let found: Feed | undefined;
  if (feed.state !== "live" || feed.size === 0) return undefined;
  wide.find(lowerBound(feed.range), (one) => {
    const isThere = one !== feed && one.state === "live" && one.hasCovered && !one.isMoving;
    if (isThere && contains(one.range, feed.range)) found = one;
  });
  return found;
}
