import type { GapWatch } from "./gap-watch.ts";
import { KeepAliveSession, type SessionOwner } from "./keep-alive-session.ts";
import type { LeaseBookLimits } from "./lease-limits.ts";
import type { LeaseBookTotals } from "./lease-totals.ts";
import type {
  KeepAliveSink,
  LeaseClock,
  OpenRenewalStream,
  RenewalFailure,
  RenewalReply,
  RenewalScope,
} from "./ports.ts";
import { Renewal, type Waiter } from "./renewal.ts";
import { expiryMs, ownTtlSeconds, sharedTtlSeconds, stuckAfterMs } from "./share-window.ts";
import type { InAir, Lane } from "./upstream-stream.ts";
import { type UpstreamListener, UpstreamStreams } from "./upstream-streams.ts";
import { UrgencyQueue } from "./urgency-queue.ts";

/** etcd's last answer for a lease. */
interface LeaseRecord {
  readonly ttlSeconds: number;
  readonly sentAtMs: number;
  readonly reply: RenewalReply;
}

export interface ScopeBookOptions {
  readonly scope: RenewalScope;
  readonly open: OpenRenewalStream;
  readonly clock: LeaseClock;
  readonly limits: LeaseBookLimits;
  readonly gaps: GapWatch;
  readonly totals: LeaseBookTotals;
}

/** The leases of one scope: who asked, what etcd said, what is on its way. */
export class ScopeBook implements SessionOwner, UpstreamListener {
  readonly #options: ScopeBookOptions;
  readonly #streams: UpstreamStreams;
  readonly #sessions = new Set<KeepAliveSession>();
  readonly #records = new Map<bigint, LeaseRecord>();
  /** The renewal of each lease that newcomers may join. */
  readonly #renewals = new Map<bigint, Renewal>();
  /** Renewals of leases that were revoked meanwhile: they have waiters still, and take no more. */
  readonly #forgotten = new Set<Renewal>();
  readonly #waiting: Readonly<Record<Lane, UrgencyQueue<Renewal>>> = {
    sound: new UrgencyQueue(),
    doubtful: new UrgencyQueue(),
  };
  #idleSinceMs: number;
  #sweptAtMs: number;

  constructor(options: ScopeBookOptions) {
    this.#options = options;
    const { scope, open, limits, clock, totals } = options;
    this.#idleSinceMs = clock.nowMs();
    this.#sweptAtMs = this.#idleSinceMs;
    this.#streams = new UpstreamStreams({
      scope,
      open,
      limits,
      nowMs: () => clock.nowMs(),
      stuckAfterMs: (leaseId) => stuckAfterMs(this.#records.get(leaseId)?.ttlSeconds),
      totals,
      listener: this,
    });
  }

  /** Leases known, renewals without an answer, and streams toward etcd. */
  get counts(): { leases: number; pending: number; streams: number } {
    return { leases: this.#records.size, pending: this.#renewals.size, streams: this.#streams.size };
  }

  openSession(sink: KeepAliveSink): KeepAliveSession {
    const session = new KeepAliveSession(this, sink);
    this.#sessions.add(session);
    if (this.#options.scope.hasLeader) this.#streams.keepOne();
    return session;
  }

  renew(session: KeepAliveSession, leaseId: bigint): void {
    this.#options.gaps.look();
    const nowMs = this.#options.clock.nowMs();
    const shared = this.#shared(leaseId, nowMs);
    if (shared !== undefined) {
      this.#options.totals.shared++;
      session.answer({ leaseId, ...shared });
      return;
    }
    this.#enlist({ session, askedAtMs: nowMs }, leaseId);
    this.#pump();
  }

  leave(session: KeepAliveSession): void {
    this.#sessions.delete(session);
    this.#idleSinceMs = this.#options.clock.nowMs();
  }

  /** The lease is being revoked: nothing that is known of it, or on its way, answers anybody who asks from now on. */
  forget(leaseId: bigint): void {
    this.#records.delete(leaseId);
    const renewal = this.#renewals.get(leaseId);
    if (renewal === undefined) return;
    renewal.isForgotten = true;
    this.#renewals.delete(leaseId);
    this.#forgotten.add(renewal);
  }

  /** Once in 100 ms or so. @returns whether the scope is of use still */
  tick(wasGap: boolean): boolean {
    const { clock, limits, scope } = this.#options;
    const nowMs = clock.nowMs();
    const isUsed = this.#sessions.size > 0;
    // After a gap answers may lie unread in the sockets: everybody gets a tick to be heard.
    if (!wasGap) this.#streams.tick(scope.hasLeader && isUsed);
    if (scope.hasLeader && isUsed) this.#streams.keepOne();
    for (const renewal of [...this.#renewals.values(), ...this.#forgotten]) {
      if (nowMs - renewal.askedAtMs > limits.maxWaitMs) this.#fail(renewal, this.#givenUp());
    }
    if (nowMs - this.#sweptAtMs > limits.idleMs) this.#sweep(nowMs);
    this.#pump();
    return isUsed || nowMs - this.#idleSinceMs <= limits.idleMs;
  }

  close(failure: RenewalFailure): void {
    this.#streams.close();
    for (const session of [...this.#sessions]) session.fail(failure);
  }

  // ---- from the streams ----

  onReply({ renewal, sentAtMs }: InAir, reply: RenewalReply): void {
    this.#options.gaps.look();
    if (!renewal.isForgotten) this.#remember(reply, sentAtMs);
    if (renewal.phase !== "settled") {
      this.#settle(renewal);
      let isFirst = true;
      for (const waiter of renewal.waiters) {
        const told = this.#ttlFor(waiter, reply, sentAtMs);
        if (told === undefined) {
          this.#enlist(waiter, renewal.leaseId);
        } else {
          this.#options.totals[isFirst ? "own" : "shared"]++;
          isFirst = false;
          waiter.session.answer({ leaseId: renewal.leaseId, ttlSeconds: told, reply });
        }
      }
    }
    this.#pump();
  }

  onRefused(renewal: Renewal, failure: RenewalFailure): void {
    this.#records.delete(renewal.leaseId);
    if (renewal.phase !== "settled") this.#fail(renewal, failure);
  }

  onReturned(renewals: readonly Renewal[], head: Renewal | undefined): void {
    if (head !== undefined) head.attempts++;
    for (const renewal of renewals) if (renewal.phase === "inAir") this.#queue(renewal);
    this.#pump();
  }

  onLeaderLost(failure: RenewalFailure): void {
    for (const session of [...this.#sessions]) session.fail(failure);
  }

  // ---- inside ----

  #shared(leaseId: bigint, nowMs: number): { ttlSeconds: number; reply: RenewalReply } | undefined {
    const record = this.#records.get(leaseId);
    if (record === undefined || record.sentAtMs < this.#options.gaps.gapAtMs) return undefined;
    const ttlSeconds = sharedTtlSeconds(record, nowMs, this.#options.limits.maxShareMs);
    return ttlSeconds === undefined ? undefined : { ttlSeconds, reply: record.reply };
  }

  /** What one who waited is told, or nothing where etcd must be asked for him: it may have looked before he came. */
  #ttlFor({ askedAtMs }: Waiter, reply: RenewalReply, sentAtMs: number): number | undefined {
    const nowMs = this.#options.clock.nowMs();
    const { leaseId, ttlSeconds } = reply;
    if (askedAtMs > sentAtMs) return this.#shared(leaseId, nowMs)?.ttlSeconds;
    return ttlSeconds > 0 ? ownTtlSeconds({ ttlSeconds, sentAtMs }, nowMs) : ttlSeconds;
  }

  #remember(reply: RenewalReply, sentAtMs: number): void {
    const { leaseId, ttlSeconds } = reply;
    const known = this.#records.get(leaseId);
    if (known !== undefined && known.sentAtMs > sentAtMs) return; // a late answer of a stuck stream
    if (ttlSeconds <= 0) this.#records.delete(leaseId);
    else this.#records.set(leaseId, { ttlSeconds, sentAtMs, reply });
  }

  #enlist(waiter: Waiter, leaseId: bigint): void {
    let renewal = this.#renewals.get(leaseId);
    if (renewal === undefined) {
      renewal = new Renewal(leaseId, waiter.askedAtMs);
      this.#renewals.set(leaseId, renewal);
      this.#queue(renewal);
    }
    renewal.waiters.push(waiter);
  }

  #queue(renewal: Renewal): void {
    renewal.phase = "queued";
    const record = this.#records.get(renewal.leaseId);
    const isSound =
      renewal.attempts === 0 && record !== undefined && expiryMs(record) > this.#options.clock.nowMs();
    if (isSound) this.#waiting.sound.push(renewal, expiryMs(record));
    else this.#waiting.doubtful.push(renewal, renewal.attempts);
  }

  #pump(): void {
    this.#drain("sound");
    this.#drain("doubtful");
  }

  #drain(lane: Lane): void {
    const waiting = this.#waiting[lane];
    for (let next = waiting.peek(); next !== undefined; next = waiting.peek()) {
      if (next.phase !== "queued") {
        waiting.pop(); // settled by a late answer
      } else if (next.isAbandoned) {
        waiting.pop();
        this.#settle(next);
      } else {
        const stream = this.#streams.roomFor(lane);
        if (stream === undefined) return;
        waiting.pop();
        stream.send(next, this.#options.clock.nowMs());
      }
    }
  }

  #settle(renewal: Renewal): void {
    renewal.phase = "settled";
    this.#forgotten.delete(renewal);
    if (this.#renewals.get(renewal.leaseId) === renewal) this.#renewals.delete(renewal.leaseId);
  }

  #fail(renewal: Renewal, failure: RenewalFailure): void {
    this.#settle(renewal);
    for (const { session } of renewal.waiters) session.fail(failure);
  }

  /** etcd's own words for a renewal that it could not carry out in time, unless no member could be reached at all. */
  #givenUp(): RenewalFailure {
    return this.#streams.lastFailure ?? { code: 14, message: "etcdserver: request timed out" };
  }

  #sweep(nowMs: number): void {
    this.#sweptAtMs = nowMs;
    for (const [leaseId, record] of this.#records) {
      if (expiryMs(record) < nowMs) this.#records.delete(leaseId);
    }
  }
}
