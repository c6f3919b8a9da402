/** A timer that can be stopped. Stopping twice, or after it fired, is nothing. */
export interface LeaseTimer {
  stop(): void;
}

/** Time as the lease book sees it, in milliseconds. */
export interface LeaseClock {
  /** Monotonic, without an epoch; fractions are kept. */
  nowMs(): number;
  /** The wall clock. Only its steps count: it goes on while a machine sleeps, and a monotonic clock may not. */
  wallMs(): number;
  /** Calls once, after at least `delayMs`. */
  setTimer(delayMs: number, callback: () => void): LeaseTimer;
}

/** Whose renewals may travel together: never those of different credentials (rule 12). */
export interface RenewalScope {
  /** What etcd decides permission by; nothing for clients that show none. */
  readonly credential: string | undefined;
  /** The clients want their streams ended where there is no leader. */
  readonly hasLeader: boolean;
}

/** How a call was ended, as gRPC says it. */
export interface RenewalFailure {
  readonly code: number;
  readonly message: string;
  /** Trailers: name, value, name, value. */
  readonly metadata?: readonly string[];
}

/** One renewal as etcd answered it. */
export interface RenewalReply {
  readonly leaseId: bigint;
  /** What etcd granted, counted from when it saw the renewal. 0 or less: there is no such lease. */
  readonly ttlSeconds: number;
  /** The answer's bytes. */
  readonly payload: Uint8Array;
}

/** Why a renewal stream is over. */
export type RenewalStreamEnd =
  /** etcd refused the renewal at the head of the stream: each error ends a stream there. */
  | { readonly t: "refused"; readonly failure: RenewalFailure }
  /** The member has no leader, and the stream asked to be told. */
  | { readonly t: "leaderLost"; readonly failure: RenewalFailure }
  /** The connection is gone, or could not be had: nobody's renewal is to blame. */
  | { readonly t: "lost"; readonly failure: RenewalFailure };

/** Takes what a renewal stream says. Neither is called from inside `open` or `send`. */
export interface RenewalStreamSink {
  onReply(reply: RenewalReply): void;
  /** At most once, and nothing after it. */
  onEnd(end: RenewalStreamEnd): void;
}

/** One stream of LeaseKeepAlive to a member. */
export interface RenewalStream {
  /** Where it leads; what `avoid` is made of. */
  readonly member: string;
  /**
   * False once a member that is not to be avoided is known to be the leader, and it is not this one, which forwards every
   * renewal by a call of its own; or once this one should not be used at all.
   */
  isPreferred(avoid: ReadonlySet<string>): boolean;
  send(leaseId: bigint): void;
  /** Nothing is wanted of it any more, and its sink hears nothing more. */
  cancel(): void;
}

/**
 * Opens a stream, on the leader where it is known and not to be avoided, else where it may work.
 * @returns nothing where there is no member at all
 */
export type OpenRenewalStream = (
  scope: RenewalScope,
  avoid: ReadonlySet<string>,
  sink: RenewalStreamSink,
) => RenewalStream | undefined;

/** An answer for one renewal of one client. */
export interface RenewalAnswer {
  readonly leaseId: bigint;
  /** What the client is to be told; may be less than the payload says. */
  readonly ttlSeconds: number;
  /** etcd's answer, with the TTL that etcd gave it. */
  readonly reply: RenewalReply;
}

/** Takes the answers of one client stream. May be called from inside `renew`. */
export interface KeepAliveSink {
  onAnswer(answer: RenewalAnswer): void;
  /** The client's stream is over, with this. Called at most once, and nothing after it. */
  onFailure(failure: RenewalFailure): void;
}
