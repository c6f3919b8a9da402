import { contains, type KeyRange, rangeId } from "../range/key-range.ts";
import { CatchUps } from "./catch-ups.ts";
import type { Feed } from "./feed.ts";
import type { FeedOptions } from "./feed-owner.ts";
import type { History } from "./history.ts";
import { Narrowing } from "./narrowing.ts";
import type { Watcher } from "./watcher.ts";

/**
 * The feeds there are: for each range the one that is as far as the store, and those that are behind. Decides which one
 * a watcher hangs on, and opens what is missing.
 */
export class FeedRegistry {
  readonly #createFeed: (options: FeedOptions) => Feed;
  readonly #history: History;
  /** The feed of a range that is as far as the store, by range. */
  readonly #mains = new Map<string, Feed>();
  readonly #catchUps: CatchUps;
  readonly #narrowing: Narrowing;

  constructor(createFeed: (options: FeedOptions) => Feed, history: History) {
    this.#createFeed = createFeed;
    this.#history = history;
    this.#narrowing = new Narrowing({
      findOwn: (range) => this.#mains.get(rangeId(range)),
      openOwn: (range, from, prevKv) => this.openMain(range, from, prevKv),
    });
    this.#catchUps = new CatchUps((range, from, prevKv) =>
      createFeed({ range, from, prevKv, isCatchUp: true }),
    );
  }

  *all(): IterableIterator<Feed> {
    yield* this.#mains.values();
    yield* this.#catchUps.all();
  }

  get isEmpty(): boolean {
    return this.#mains.size === 0 && this.#catchUps.size === 0;
  }

  /** The feed that has all of a range and is up to date: its own, or a wider one. */
  mainOf(range: KeyRange): Feed | undefined {
    const own = this.#mains.get(rangeId(range));
    if (own !== undefined) return own;
    for (const feed of this.#mains.values()) {
      if (feed.range.t !== "point" && contains(feed.range, range)) return feed;
    }
    return undefined;
  }

  openMain(range: KeyRange, from: bigint, prevKv: boolean): Feed {
    const feed = this.#createFeed({ range, from, prevKv, isCatchUp: false });
    this.#mains.set(rangeId(range), feed);
    return feed;
  }

  /** Finds a feed for a watcher that hangs on none, at its position. */
  attach(watcher: Watcher): void {
    const { range, position } = watcher;
    const { known } = this.#history;
    const main = this.mainOf(range);
    if (main?.canHold(watcher)) {
      main.attach(watcher);
    } else if (main === undefined && position >= known) {
      this.openMain(range, known, watcher.wantsPrevKv).attach(watcher);
    } else {
      // Below the log, or without the previous values it wants: a feed that is behind fetches what it lacks.
      if (main !== undefined && watcher.wantsPrevKv) main.upgrade();
      this.#catchUps.attach(watcher, known);
    }
  }

  /** Lets a watcher go for good. */
  detach(watcher: Watcher): void {
    if (watcher.group === undefined) this.#catchUps.forget(watcher);
    else watcher.group.feed.detach(watcher);
  }

  /** A feed is over. @returns watchers that waited for its place */
  remove(feed: Feed): readonly Watcher[] {
    const id = rangeId(feed.range);
    if (this.#mains.get(id) === feed) this.#mains.delete(id);
    return this.#catchUps.remove(feed);
  }

  /**
   * A catch-up has come further: its watchers change over once the up-to-date feed holds all that they still need (rule
   * 23). Where there is none, the catch-up becomes it.
   * @returns watchers that waited for its place
   */
  join(feed: Feed): readonly Watcher[] {
    const main = this.mainOf(feed.range);
    if (main === undefined) return feed.log.head >= this.#history.known ? this.#promote(feed) : [];
    for (const group of [...feed.groups]) {
      for (const watcher of [...group.upToDate()]) {
        if (!main.canHold(watcher, watcher.reached)) continue;
        feed.detach(watcher);
        main.attach(watcher);
      }
    }
    return [];
  }

  /** Now and then: narrows feeds that are wider than wanted, and asks for previous values where they are missed. */
  tidy(): void {
    this.#narrowing.step(this.#mains.values());
    for (const feed of this.#mains.values()) {
      // Those who wait for them hang on a catch-up until it is as far as they are there.
      if (this.#catchUps.wantsPrevKv(feed.range)) feed.upgrade();
      else feed.downgrade();
    }
  }

  #promote(feed: Feed): readonly Watcher[] {
    const queued = this.#catchUps.remove(feed);
    feed.promote();
    // Off the stream of its own, where that can be done without a gap (rules 21, 22).
    if (feed.isProgressTrusted) feed.replace({ isAlone: false });
    this.#mains.set(rangeId(feed.range), feed);
    return queued;
  }
}
