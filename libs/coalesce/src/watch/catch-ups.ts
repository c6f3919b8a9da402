import { contains, type KeyRange, rangeId } from "../range/key-range.ts";
import type { Feed } from "./feed.ts";
import type { Watcher } from "./watcher.ts";

/** How many feeds of one range may be behind at the same time; more watchers wait their turn. */
const maxPerRange = 4;
/** A feed that is further behind a watcher's position than this is no help to it while another can be opened. */
const maxDetour = 10_000n;

/** Opens a feed that is behind. */
export type OpenCatchUp = (range: KeyRange, from: bigint, prevKv: boolean) => Feed;

/** The feeds that are behind, by range, and who waits for one (rule 23). */
export class CatchUps {
  readonly #open: OpenCatchUp;
  readonly #feeds = new Map<string, Set<Feed>>();
  readonly #queues = new Map<string, Set<Watcher>>();

  constructor(open: OpenCatchUp) {
    this.#open = open;
  }

  get size(): number {
    return this.#feeds.size;
  }

  *all(): IterableIterator<Feed> {
    for (const feeds of this.#feeds.values()) yield* feeds;
  }

  /** Whether somebody catches up on the range, or part of it, for want of previous values. */
  wantsPrevKv(range: KeyRange): boolean {
    for (const feed of this.all()) {
      if (feed.prevKvBase !== undefined && contains(range, feed.range)) return true;
    }
    return false;
  }

  /**
   * Puts a watcher on the nearest feed that has what it needs, on a new one, or in the queue.
   * @param known the highest revision there is: nothing is asked for above it
   */
  attach(watcher: Watcher, known: bigint): void {
    const id = rangeId(watcher.range);
    const feeds = this.#feeds.get(id) ?? new Set();
    const isFull = feeds.size >= maxPerRange;
    const nearest = nearestOf(feeds, watcher);
    if (nearest !== undefined && (isFull || watcher.position - nearest.log.head <= maxDetour)) {
      nearest.attach(watcher);
    } else if (isFull) {
      const queue = this.#queues.get(id) ?? new Set();
      this.#queues.set(id, queue.add(watcher));
    } else {
      const from = watcher.position < known ? watcher.position : known;
      const feed = this.#open(watcher.range, from, watcher.wantsPrevKv);
      this.#feeds.set(id, feeds.add(feed));
      feed.attach(watcher);
    }
  }

  /** A watcher that may be waiting does so no more. */
  forget(watcher: Watcher): void {
    this.#queues.get(rangeId(watcher.range))?.delete(watcher);
  }

  /** A feed is over, or no longer behind. @returns those who may have its place */
  remove(feed: Feed): readonly Watcher[] {
    const id = rangeId(feed.range);
    const feeds = this.#feeds.get(id);
    if (feeds?.delete(feed) !== true) return [];
    if (feeds.size === 0) this.#feeds.delete(id);
    const queue = this.#queues.get(id);
    this.#queues.delete(id);
    return queue === undefined ? [] : [...queue];
  }
}

function nearestOf(feeds: ReadonlySet<Feed>, watcher: Watcher): Feed | undefined {
  let nearest: Feed | undefined;
  for (const feed of feeds) {
    if (!feed.canHold(watcher)) continue;
    if (nearest === undefined || feed.log.head > nearest.log.head) nearest = feed;
  }
  return nearest;
}
