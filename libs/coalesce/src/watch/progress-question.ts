import type { Clock, Timer } from "../ports.ts";
import type { Feed } from "./feed.ts";
import type { Watcher } from "./watcher.ts";

const retryMs = 100;
const timeoutMs = 5_000;

/**
 * A client's request for progress: etcd is asked on every stream its feeds are on, and the client answered once all have
 * answered. Like etcd, not at all while a watch of the stream is behind; unlike an old etcd, never with a revision whose
 * events may still come.
 */
export class ProgressQuestion {
  readonly #clock: Clock;
  readonly #all: ReadonlySet<Feed>;
  /** Those whose answer has not come. */
  readonly #feeds: Set<Feed>;
  readonly #tryAnswer: (isLast: boolean) => void;
  readonly #since: number;
  readonly #unsubscribes: readonly (() => void)[];
  #timer: Timer;

  /** @param tryAnswer called when an answer may be possible; the last time with true. Closes the question if it was. */
  constructor(clock: Clock, watchers: readonly Watcher[], tryAnswer: (isLast: boolean) => void) {
    this.#clock = clock;
    this.#tryAnswer = tryAnswer;
    this.#since = clock.nowMs();
    const feeds = watchers.flatMap(({ group }) => (group?.feed.isProgressTrusted ? [group.feed] : []));
    this.#all = new Set(feeds);
    this.#feeds = new Set(feeds);
    const hubs = new Set(watchers.map(({ hub }) => hub));
    const onProgress = (feed: Feed): void => {
      if (this.#feeds.delete(feed) && this.#feeds.size === 0) tryAnswer(false);
    };
    this.#unsubscribes = [...hubs].map((hub) => hub.onProgress(onProgress));
    this.#timer = this.#armed();
  }

  /** Asks etcd. What cannot be asked answers with what is known. */
  ask(): void {
    if (this.#feeds.size === 0) this.#tryAnswer(false);
    else requestProgress(this.#feeds);
  }

  close(): void {
    this.#timer.stop();
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
  }

  #armed(): Timer {
    return this.#clock.setTimer(retryMs, () => {
      const isLast = this.#clock.nowMs() - this.#since >= timeoutMs;
      this.#timer = this.#armed();
      // A feed on a member that is behind may have answered with less than the client has seen of another.
      requestProgress(this.#feeds.size > 0 ? this.#feeds : this.#all);
      this.#tryAnswer(isLast);
    });
  }
}

/** One request for each stream: it speaks for all watches there. */
function requestProgress(feeds: Iterable<Feed>): void {
  const streams = new Set<string | undefined>();
  for (const feed of feeds) {
    if (!streams.has(feed.streamId)) feed.requestProgress();
    streams.add(feed.streamId);
  }
}

/**
 * How far all of them are, if all are at the head of their feeds and have begun.
 * @param floor what the client has been shown: less says nothing (rule 31)
 */
export function revisionOfAll(watchers: Iterable<Watcher>, floor: bigint): bigint | undefined {
  let lowest: bigint | undefined;
  for (const watcher of watchers) {
    const head = watcher.group?.feed.log.head ?? 0n;
    if (!watcher.isLive || head < watcher.position) return undefined;
    if (lowest === undefined || head < lowest) lowest = head;
  }
  return lowest === undefined || lowest < floor ? undefined : lowest;
}
