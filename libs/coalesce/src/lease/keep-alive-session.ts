import type { KeepAliveSink, RenewalAnswer, RenewalFailure } from "./ports.ts";

/** What a session needs of the scope it belongs to. */
export interface SessionOwner {
  renew(session: KeepAliveSession, leaseId: bigint): void;
  leave(session: KeepAliveSession): void;
}

/** One client stream of LeaseKeepAlive. Close it when the stream ends. */
export class KeepAliveSession implements Disposable {
  readonly #owner: SessionOwner;
  readonly #sink: KeepAliveSink;
  #isOver = false;
  #pending = 0;

  constructor(owner: SessionOwner, sink: KeepAliveSink) {
    this.#owner = owner;
    this.#sink = sink;
  }

  /** Renewals without an answer. */
  get pending(): number {
    return this.#pending;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Renews a lease; the sink hears of it once, perhaps before this returns. Answers of different leases may change places. */
  renew(leaseId: bigint): void {
    if (this.#isOver) return;
    this.#pending++;
    this.#owner.renew(this, leaseId);
  }

  /** The client is gone, or has all it wants. The sink hears nothing more; twice is fine. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.leave(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  // ---- called by the scope ----

  answer(answer: RenewalAnswer): void {
    if (this.#isOver) return;
    this.#pending--;
    this.#sink.onAnswer(answer);
  }

  fail(failure: RenewalFailure): void {
    if (this.#isOver) return;
    this.close();
    this.#sink.onFailure(failure);
  }
}
