import type { KeepAliveSession } from "./keep-alive-session.ts";

/** A client's request that waits for an answer. */
export interface Waiter {
  readonly session: KeepAliveSession;
  readonly askedAtMs: number;
}

/**
 * One renewal of one lease on its way to etcd, for everybody who asked meanwhile.
 *
 *     queued ──sent──▶ inAir ──answered, refused, given up──▶ settled
 *       ▲                │
 *       └── its stream is stuck or lost: queued again; a late answer of the stuck stream still settles it
 */
export class Renewal {
  readonly leaseId: bigint;
  readonly askedAtMs: number;
  waiters: Waiter[] = [];
  phase: "queued" | "inAir" | "settled" = "queued";
  /** The stream it was sent on last: only that one hands it back. */
  carrier: object | undefined;
  /** How often it was at the head of a stream that got stuck: such renewals travel apart from the others. */
  attempts = 0;
  /** The lease was revoked through us meanwhile: the answer is for those who wait, and not remembered. */
  isForgotten = false;

  constructor(leaseId: bigint, askedAtMs: number) {
    this.leaseId = leaseId;
    this.askedAtMs = askedAtMs;
  }

  /** Nobody waits any more: their clients went away. */
  get isAbandoned(): boolean {
    return this.waiters.every(({ session }) => session.isOver);
  }
}
