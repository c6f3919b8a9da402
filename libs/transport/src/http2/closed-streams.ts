/** How a stream came to its end; decides what later frames on it mean (RFC 9113, 5.1). */
export const ClosedHow = {
  /** Not remembered: never opened, or long ago. */
  unknown: 0,
  /** Both sides ended it. */
  ended: 1,
  /** We reset it: what the peer sent before it knew is to be ignored. */
  resetByUs: 2,
  resetByPeer: 3,
} as const;

/** One of the values of {@link ClosedHow}. */
export type ClosedHow = (typeof ClosedHow)[keyof typeof ClosedHow];

const REMEMBERED = 256;

/** Remembers how the last few streams of a connection ended. */
export class ClosedStreams {
  readonly #ids: number[] = [];
  readonly #how: ClosedHow[] = [];
  #next = 0;

  add(streamId: number, how: ClosedHow): void {
    this.#ids[this.#next] = streamId;
    this.#how[this.#next] = how;
    this.#next = (this.#next + 1) % REMEMBERED;
  }

  find(streamId: number): ClosedHow {
    const at = this.#ids.indexOf(streamId);
    return at < 0 ? ClosedHow.unknown : (this.#how[at] ?? ClosedHow.unknown);
  }
}
