import type { KeyRange } from "../range/key-range.ts";
import type { Batch } from "./batch.ts";
import type { Feed } from "./feed.ts";
import { Lane, type LanePort } from "./lane.ts";
import type { Watcher } from "./watcher.ts";

/** The watchers of one range on one feed, whose own range may be wider. */
export class FeedGroup {
  readonly feed: Feed;
  readonly range: KeyRange;
  /**
   * Those who have everything up to the feed's head, or begin above it, and are served one by one. Not touched by events
   * outside their range.
   */
  readonly live: Set<Watcher> = new Set();
  /** Those who have to be served from the log. */
  readonly lagging: Set<Watcher> = new Set();
  /** All others, with who shares their connection. */
  readonly lanes: Set<Lane> = new Set();
  /** Of the lanes with the same key the one that takes newcomers. */
  readonly #fronts = new Map<string, Lane>();
  /** The last batch that was made for a lane: others are mostly where that one was. */
  lastBatch: { readonly prev: bigint; readonly upto: bigint; readonly batch: Batch } | undefined = undefined;

  constructor(feed: Feed, range: KeyRange) {
    this.feed = feed;
    this.range = range;
  }

  get isEmpty(): boolean {
    return this.live.size === 0 && this.lagging.size === 0 && this.lanes.size === 0;
  }

  /** Those who have everything up to the feed's head, or begin above it. */
  *upToDate(): IterableIterator<Watcher> {
    yield* this.live;
    for (const lane of this.lanes) if (lane.isResting) yield* lane.watchers;
  }

  *watchers(): IterableIterator<Watcher> {
    yield* this.live;
    yield* this.lagging;
    for (const lane of this.lanes) yield* lane.watchers;
  }

  /** Takes one that has everything up to the head, or begins above it. */
  welcome(watcher: Watcher, port: LanePort): void {
    const { fans } = watcher.stream;
    // Who begins above the head gets what lies below its start left out, which is not the same for all.
    if (fans === undefined || watcher.position > port.head) {
      this.live.add(watcher);
      return;
    }
    const key = `${fans.id}/${watcher.variant}/${watcher.id}`;
    let lane = this.#fronts.get(key);
    if (lane?.isResting !== true) {
      lane = new Lane(this, key, watcher, port);
      this.#fronts.set(key, lane);
      this.lanes.add(lane);
    }
    lane.add(watcher);
  }

  /** Lets one go, with its position brought up to date. */
  dismiss(watcher: Watcher): void {
    const { lane } = watcher;
    watcher.position = watcher.reached;
    if (lane === undefined) {
      if (!this.live.delete(watcher)) this.lagging.delete(watcher);
      return;
    }
    lane.remove(watcher);
    if (lane.size === 0) this.drop(lane);
  }

  /** Lanes of the same key that have all there is go on as one. */
  merge(lane: Lane): void {
    const front = this.#fronts.get(lane.key);
    if (front === lane || !lane.isResting || lane.size === 0) return;
    if (front === undefined) {
      this.#fronts.set(lane.key, lane);
    } else if (front.isResting) {
      for (const watcher of [...lane.watchers]) {
        lane.remove(watcher);
        front.add(watcher);
      }
      this.drop(lane);
    }
  }

  /** Forgets an empty lane. */
  drop(lane: Lane): void {
    this.lanes.delete(lane);
    if (this.#fronts.get(lane.key) === lane) this.#fronts.delete(lane.key);
  }
}
