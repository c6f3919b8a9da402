import type { Follower, Sign } from "./follower.ts";
import type { Frame } from "./frame.ts";

/** Subscriptions to frames: one for each feed that is followed, whoever follows it here. */
export class Taps {
  readonly #subscribe: (feed: string) => () => void;
  readonly #taps = new Map<string, { readonly followers: Set<Follower>; stop: () => void }>();

  /** @param subscribe begins to listen to the frames of a feed; returns the way to stop */
  constructor(subscribe: (feed: string) => () => void) {
    this.#subscribe = subscribe;
  }

  *followers(): IterableIterator<Follower> {
    for (const { followers } of this.#taps.values()) yield* followers;
  }

  /** @returns the way to stop it */
  add(feed: string, follower: Follower): () => void {
    const tap = this.#taps.get(feed) ?? { followers: new Set<Follower>(), stop: this.#subscribe(feed) };
    this.#taps.set(feed, tap);
    tap.followers.add(follower);
    return () => {
      if (!tap.followers.delete(follower) || tap.followers.size > 0) return;
      tap.stop();
      if (this.#taps.get(feed) === tap) this.#taps.delete(feed);
    };
  }

  onFrame(feed: string, frame: Frame): void {
    for (const follower of [...(this.#taps.get(feed)?.followers ?? [])]) follower.onFrame(frame);
  }

  onSign(feed: string, sign: Sign): void {
    for (const follower of [...(this.#taps.get(feed)?.followers ?? [])]) follower.onSign(sign);
  }
}
