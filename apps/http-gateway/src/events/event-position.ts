/**
 * How far a client is in each of its ranges: the id of an event, `105`, or `105,99` for two ranges. A stream that begins with it
 * as `Last-Event-ID` goes on right behind.
 */
export class EventPosition {
  readonly #revisions: bigint[];
  #text: string | undefined;

  /** @param count of ranges; where a range has not begun its revision is 0 */
  constructor(count: number) {
    this.#revisions = Array.from({ length: count }, () => 0n);
  }

  /** Nothing is missing in a range up to here. */
  onReached(index: number, revision: bigint): void {
    if (revision <= (this.#revisions[index] ?? revision)) return;
    this.#revisions[index] = revision;
    this.#text = undefined;
  }

  /** Nothing is missing in any range up to here. */
  onAllReached(revision: bigint): void {
    for (const index of this.#revisions.keys()) this.onReached(index, revision);
  }

  toString(): string {
    this.#text ??= this.#revisions.join(",");
    return this.#text;
  }
}
