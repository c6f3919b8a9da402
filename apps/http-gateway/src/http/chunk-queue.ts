import { ClientGoneError } from "./client-gone-error.ts";

/** What a chunk queue tells its source: to stop or to go on. */
export interface ChunkFlow {
  pause(): void;
  resume(): void;
}

/**
 * Turns pushed chunks into pulled ones. At most one chunk waits: the source is paused as soon as one does, and
 * resumed when it is taken.
 */
export class ChunkQueue {
  readonly #flow: ChunkFlow;
  readonly #waiting: Buffer[] = [];
  #end: { readonly t: "ended" } | { readonly t: "failed"; readonly error: Error } | undefined;
  #wake: (() => void) | undefined;

  constructor(flow: ChunkFlow) {
    this.#flow = flow;
  }

  push(chunk: Buffer): void {
    this.#waiting.push(chunk);
    if (this.#wake === undefined) this.#flow.pause();
    this.#wakeUp();
  }

  /** The source has no more. */
  finish(): void {
    this.#end ??= { t: "ended" };
    this.#wakeUp();
  }

  /** The peer left before it was done. */
  abandon(): void {
    this.fail(new ClientGoneError());
  }

  /** Nobody wants more: who waits gets this error. */
  fail(error: Error): void {
    this.#end ??= { t: "failed", error };
    this.#wakeUp();
  }

  /**
   * The next chunk, or nothing at the end. One caller at a time.
   * @throws ClientGoneError when the peer left, or what `fail` was told
   */
  async next(): Promise<Buffer | undefined> {
    while (this.#waiting.length === 0 && this.#end === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      this.#flow.resume();
      await promise;
    }
    const chunk = this.#waiting.shift();
    if (chunk === undefined && this.#end?.t === "failed") throw this.#end.error;
    return chunk;
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
