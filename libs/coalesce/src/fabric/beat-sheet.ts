import { type Beat, BeatSchema, create, type MessageInitShape } from "@etcd-edge/proto";

const maxBeatsPerMessage = 1_000;

/** Signs of life that are due, said together at the end of a turn. */
export class BeatSheet {
  readonly #say: (beats: Beat[]) => void;
  /** By feed. */
  readonly #due = new Map<string, Beat>();
  #beganAt = Number.NEGATIVE_INFINITY;

  constructor(say: (beats: Beat[]) => void) {
    this.#say = say;
  }

  /** Whether all feeds should give a sign. */
  isDue(now: number, intervalMs: number): boolean {
    return now - this.#beganAt >= intervalMs;
  }

  /** All of them are about to. */
  beganAt(now: number): void {
    this.#beganAt = now;
  }

  add(init: MessageInitShape<typeof BeatSchema> & { readonly feed: string }): void {
    const beat = create(BeatSchema, init);
    const known = this.#due.get(beat.feed);
    if (known?.isAnswer === true) beat.isAnswer = true;
    this.#due.set(beat.feed, beat);
    if (this.#due.size === 1 && known === undefined) void Promise.resolve().then(() => this.#flush());
  }

  clear(): void {
    this.#due.clear();
  }

  #flush(): void {
    const beats = [...this.#due.values()];
    this.#due.clear();
    for (let at = 0; at < beats.length; at += maxBeatsPerMessage)
      this.#say(beats.slice(at, at + maxBeatsPerMessage));
  }
}
