import type { Feed } from "./feed.ts";
import type { FeedEnd } from "./feed-owner.ts";

/** Those who wait for feeds to open. */
export class Openings {
  readonly #waiting = new Map<Feed, ((end: FeedEnd | undefined) => void)[]>();

  /**
   * Waits until etcd has said `created` to the feed, once.
   * @returns how to let go of the feed, which stays open until then; or how it ended before it was there
   */
  async wait(feed: Feed): Promise<(() => void) | FeedEnd> {
    const release = feed.hold();
    if (feed.hasOpened) return release;
    const end = await new Promise<FeedEnd | undefined>((resolve) => {
      const waiting = this.#waiting.get(feed);
      if (waiting === undefined) this.#waiting.set(feed, [resolve]);
      else waiting.push(resolve);
    });
    if (end === undefined) return release;
    release();
    return end;
  }

  /** The feed is there, or it is over. */
  settle(feed: Feed, end: FeedEnd | undefined): void {
    const waiting = this.#waiting.get(feed) ?? [];
    this.#waiting.delete(feed);
    for (const resolve of waiting) resolve(end);
  }
}
