import { GapWatch } from "./gap-watch.ts";
import type { KeepAliveSession } from "./keep-alive-session.ts";
import { defaultLeaseLimits, type LeaseBookLimits } from "./lease-limits.ts";
import type { LeaseBookTotals } from "./lease-totals.ts";
import type { KeepAliveSink, LeaseClock, LeaseTimer, OpenRenewalStream, RenewalScope } from "./ports.ts";
import { ScopeBook } from "./scope-book.ts";

export interface LeaseBookOptions {
  readonly open: OpenRenewalStream;
  readonly clock: LeaseClock;
  /** Default {@link defaultLeaseLimits}. */
  readonly limits?: Partial<LeaseBookLimits>;
}

/** What the book holds, for metrics. */
export interface LeaseBookCounts {
  /** Leases whose last answer is remembered. */
  readonly leases: number;
  /** Renewals without an answer. */
  readonly pending: number;
  /** Streams toward etcd. */
  readonly streams: number;
  /** Pairs of credential and `hasleader` that have clients, or had some a moment ago. */
  readonly scopes: number;
}

const tickMs = 100;

/**
 * Keepalives of many clients on few streams toward etcd (rule 12).
 *
 * A lease is renewed upstream only if a client asks; whoever asks within a short window after that (1 s, or TTL/6) is
 * told what is left of etcd's grant, and etcd is not asked. Renewals of one credential and `hasleader` travel together,
 * never with those of another. A stream that does not answer is left and the rest goes elsewhere.
 *
 * Disposing ends every session with 14 and every stream; twice is fine.
 */
export class LeaseBook implements Disposable {
  readonly totals: Readonly<LeaseBookTotals>;
  readonly #totals: LeaseBookTotals = { own: 0, shared: 0, stuckStreams: 0 };
  readonly #options: LeaseBookOptions;
  readonly #limits: LeaseBookLimits;
  readonly #gaps: GapWatch;
  readonly #scopes = new Map<string, ScopeBook>();
  #timer: LeaseTimer | undefined;
  #isOver = false;

  constructor(options: LeaseBookOptions) {
    this.totals = this.#totals;
    this.#options = options;
    this.#limits = { ...defaultLeaseLimits, ...options.limits };
    this.#gaps = new GapWatch(options.clock);
  }

  /** Begins a client's stream of keepalives. To be closed when the stream ends. */
  open(scope: RenewalScope, sink: KeepAliveSink): KeepAliveSession {
    return this.#scopeOf(scope).openSession(sink);
  }

  /**
   * A client of ours revokes this lease: call before the request goes out and again when it is answered. A renewal that is
   * in the air then answers those who wait for it and nobody else.
   */
  forget(leaseId: bigint): void {
    for (const scope of this.#scopes.values()) scope.forget(leaseId);
  }

  counts(): LeaseBookCounts {
    const sum = { leases: 0, pending: 0, streams: 0 };
    for (const { counts } of this.#scopes.values()) {
      sum.leases += counts.leases;
      sum.pending += counts.pending;
      sum.streams += counts.streams;
    }
    return { ...sum, scopes: this.#scopes.size };
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer?.stop();
    for (const scope of this.#scopes.values())
      scope.close({ code: 14, message: "the proxy is shutting down" });
    this.#scopes.clear();
  }

  #scopeOf(scope: RenewalScope): ScopeBook {
    const { credential, hasLeader } = scope;
    const key = `${hasLeader ? "L" : "-"}${credential === undefined ? "" : `=${credential}`}`;
    let book = this.#scopes.get(key);
    if (book === undefined) {
      const { open, clock } = this.#options;
      book = new ScopeBook({
        scope,
        open,
        clock,
        limits: this.#limits,
        gaps: this.#gaps,
        totals: this.#totals,
      });
      if (this.#scopes.size === 0) this.#schedule();
      this.#scopes.set(key, book);
    }
    return book;
  }

  #schedule(): void {
    if (this.#isOver) return;
    this.#timer = this.#options.clock.setTimer(tickMs, () => this.#tick());
  }

  #tick(): void {
    const wasGap = this.#gaps.look();
    for (const [key, scope] of [...this.#scopes]) {
      if (scope.tick(wasGap)) continue;
      this.#scopes.delete(key);
      scope.close({ code: 14, message: "the proxy is shutting down" });
    }
    if (this.#scopes.size > 0) this.#schedule();
  }
}
