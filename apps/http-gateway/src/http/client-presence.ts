const nothing = (): void => {};

/**
 * Whether the client of a call is still there. An AbortController does the same at ten times the cost; most calls are over
 * before anybody wants a signal, so that one is made only when it is asked for.
 */
export class ClientPresence {
  #isGone = false;
  #listeners: Set<() => void> | undefined;
  #controller: AbortController | undefined;

  /** A client of ours that stays until the signal fires. */
  static until(signal: AbortSignal): ClientPresence {
    const presence = new ClientPresence();
    if (signal.aborted) presence.leave();
    else signal.addEventListener("abort", () => presence.leave(), { once: true });
    return presence;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Aborts when the client has gone. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isGone) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  /** Calls back when the client has gone; at once where it has. @returns how to hear nothing of it */
  onGone(listener: () => void): () => void {
    if (this.#isGone) {
      listener();
      return nothing;
    }
    this.#listeners ??= new Set();
    const listeners = this.#listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** The client has gone. Twice is nothing. */
  leave(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener();
    this.#controller?.abort();
  }
}
