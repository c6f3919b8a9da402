import type { Channel } from "@etcd-edge/transport";

/**
 * The channels to all endpoints, of which calls take those that are connected, in turn. A channel that lost its
 * connection is passed over until it has a new one, so a dead member costs no call anything.
 */
export class ReadyChannels {
  readonly #channels: readonly Channel[];
  readonly #waiting = new Set<() => void>();
  #next = 0;

  /** @param create makes the channels; each must report its states to the callback it is given */
  constructor(create: (onState: () => void) => readonly Channel[]) {
    this.#channels = create(() => this.#wake());
  }

  /** Connects where there is no connection and none under way. */
  connect(): void {
    for (const channel of this.#channels) channel.connect();
  }

  /** The next connected channel, if there is one. */
  pick(): Channel | undefined {
    const count = this.#channels.length;
    for (let i = 0; i < count; i++) {
      const at = (this.#next + i) % count;
      const channel = this.#channels[at];
      if (channel?.state.t === "ready") {
        this.#next = at + 1;
        return channel;
      }
    }
    return undefined;
  }

  /**
   * The next connected channel, waiting for attempts that are under way and, once all have failed, until `holdUntil`
   * (as `performance.now()`) for the next ones (rule 42).
   * @returns nothing where that was in vain or the signal aborted
   */
  async waitForOne(holdUntil: number, signal: AbortSignal): Promise<Channel | undefined> {
    for (;;) {
      const channel = this.pick();
      if (channel !== undefined || signal.aborted) return channel;
      const trying = this.#channels.some(({ state }) => state.t === "connecting");
      const waitMs = holdUntil - performance.now();
      if (!trying && waitMs <= 0) return undefined;
      await this.#stateChange(trying ? undefined : waitMs, signal);
    }
  }

  /** Why no call can be made now, or nothing. */
  problem(): string | undefined {
    let message = "not connected yet";
    for (const { state } of this.#channels) {
      if (state.t === "ready") return undefined;
      if (state.t === "transientFailure") message = state.message;
    }
    return message;
  }

  async close(): Promise<void> {
    await Promise.all(this.#channels.map((channel) => channel[Symbol.asyncDispose]()));
  }

  #stateChange(timeoutMs: number | undefined, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(done, timeoutMs);
      signal.addEventListener("abort", done);
      this.#waiting.add(done);
    });
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
