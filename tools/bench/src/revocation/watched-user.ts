import type { OpenWatch } from "../faults/watch-call.ts";

const patienceMs = 30_000;

/** A watch of a user's, and what became of it. Disposing leaves it. */
export class WatchedUser implements Disposable {
  readonly #leave: () => void;
  readonly #created = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<number>();
  #isOver = false;
  #events = 0;
  #onEvent: () => void = () => {};

  constructor(open: OpenWatch, range: string) {
    this.#leave = open(range, 0n, {
      onCreated: () => this.#created.resolve(),
      onEvents: (revisions) => {
        this.#events += revisions.length;
        this.#onEvent();
      },
      onEnd: () => {
        this.#isOver = true;
        this.#created.reject(new Error("a watch ended before anything was done"));
        this.#ended.resolve(performance.now());
        this.#onEvent();
      },
    });
  }

  /** Settles when it is there. @throws Error where it is refused */
  get created(): Promise<void> {
    return this.#created.promise;
  }

  /** @returns when it was told that it is over, by `performance.now()`; nothing where it has not been in that time */
  async endsWithin(ms: number): Promise<number | undefined> {
    const limit = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => limit.resolve(undefined), ms);
    try {
      return await Promise.race([this.#ended.promise, limit.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether it lives, and has had so many events once they had time to come. */
  async hasExactly(events: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, patienceMs);
    this.#onEvent = () => {
      if (this.#isOver || this.#events >= events) resolve();
    };
    this.#onEvent();
    await promise;
    clearTimeout(timer);
    return !this.#isOver && this.#events === events;
  }

  [Symbol.dispose](): void {
    this.#leave();
  }
}
