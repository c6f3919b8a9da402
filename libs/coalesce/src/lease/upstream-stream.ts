import type { RenewalStream } from "./ports.ts";
import type { Renewal } from "./renewal.ts";

/**
 * What travels on a stream: leases that are known to live, or all others. etcd blocks a whole stream on the renewal of a
 * lease that has expired and is not yet revoked, so those that may be such never stand before one that lives.
 */
export type Lane = "sound" | "doubtful";

/** A renewal that was sent and not answered. */
export interface InAir {
  readonly renewal: Renewal;
  readonly sentAtMs: number;
}

/**
 *     open ──a better member is known, or nothing to do──▶ retiring ──all answered──▶ over
 *       │                                                     │
 *       └──────────── silent for too long ──▶ stuck ◀─────────┘ ──answered, or too many of them──▶ over
 */
export type StreamPhase =
  | { readonly t: "open" }
  | { readonly t: "retiring" }
  | { readonly t: "stuck"; readonly sinceMs: number }
  | { readonly t: "over" };

/** One stream toward etcd and what is in the air on it, oldest first. */
export class UpstreamStream {
  readonly lane: Lane;
  readonly port: RenewalStream;
  readonly inAir: InAir[] = [];
  phase: StreamPhase = { t: "open" };
  hasReplied = false;
  readonly #openedAtMs: number;
  /** When it last had anything to do. */
  activeAtMs: number;

  constructor(lane: Lane, port: RenewalStream, nowMs: number) {
    this.lane = lane;
    this.port = port;
    this.#openedAtMs = nowMs;
    this.activeAtMs = nowMs;
  }

  /** It was opened within the last second and has not answered anything. */
  isNew(nowMs: number): boolean {
    return !this.hasReplied && nowMs - this.#openedAtMs < 1_000;
  }

  send(renewal: Renewal, nowMs: number): void {
    this.inAir.push({ renewal, sentAtMs: nowMs });
    this.activeAtMs = nowMs;
    renewal.phase = "inAir";
    renewal.carrier = this;
    this.port.send(renewal.leaseId);
  }

  /** What is in the air here and nowhere else. */
  carried(): Renewal[] {
    return this.inAir.map(({ renewal }) => renewal).filter(({ carrier }) => carrier === this);
  }

  /** Takes out what an answer for this lease is the answer to: the oldest of it. */
  take(leaseId: bigint, nowMs: number): InAir | undefined {
    const at = this.inAir.findIndex(({ renewal }) => renewal.leaseId === leaseId);
    if (at < 0) return undefined;
    this.activeAtMs = nowMs;
    this.hasReplied = true;
    return this.inAir.splice(at, 1)[0];
  }
}
