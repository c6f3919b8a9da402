import type { WatchResponse } from "@etcd-edge/proto";

/**
 * How far a client is in each of its ranges: the id of an event, `105`, or `105,99` for two ranges. A stream that begins with it
 * as `Last-Event-ID` goes on right behind.
 */
export class EventPosition {
  readonly #revisions: bigint[];

  /** @param count of ranges; where a range has not begun its revision is 0 */
  constructor(count: number) {
    this.#revisions = Array.from({ length: count }, () => 0n);
  }

  /** A watch begins: its next event is `nextRevision` or later. */
  begin(index: number, nextRevision: bigint): void {
    this.#raise(index, nextRevision - 1n);
  }

  /** The client has been sent a response with events. A revision is never split over two. */
  onEvents(index: number, { events }: WatchResponse): void {
    this.#raise(index, events.at(-1)?.kv?.modRevision ?? 0n);
  }

  /** Nothing is missing in any range up to here. */
  onProgress(revision: bigint): void {
    for (const index of this.#revisions.keys()) this.#raise(index, revision);
  }

  /** The next stream must not ask for what is compacted. */
  onCompacted(index: number, compactRevision: bigint): void {
    this.#raise(index, compactRevision - 1n);
  }

  toString(): string {
    return this.#revisions.join(",");
  }

  #raise(index: number, revision: bigint): void {
    if (revision > (this.#revisions[index] ?? revision)) this.#revisions[index] = revision;
  }
}
