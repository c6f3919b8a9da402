import type { LeaseBookLimits } from "./lease-limits.ts";
import type { LeaseBookTotals } from "./lease-totals.ts";
import type {
  OpenRenewalStream,
  RenewalFailure,
  RenewalReply,
  RenewalScope,
  RenewalStreamEnd,
} from "./ports.ts";
import type { Renewal } from "./renewal.ts";
import { type InAir, type Lane, UpstreamStream } from "./upstream-stream.ts";

/** What the streams of a scope tell. */
export interface UpstreamListener {
  onReply(sent: InAir, reply: RenewalReply): void;
  /** etcd's error for this renewal. */
  onRefused(renewal: Renewal, failure: RenewalFailure): void;
  /** These must be sent again; the head, if any, is who held the others up. */
  onReturned(renewals: readonly Renewal[], head: Renewal | undefined): void;
  /** Two members in a row have no leader. */
  onLeaderLost(failure: RenewalFailure): void;
}

export interface UpstreamStreamsOptions {
  readonly scope: RenewalScope;
  readonly open: OpenRenewalStream;
  readonly limits: LeaseBookLimits;
  readonly nowMs: () => number;
  /** Longest silence for a lease's renewal. */
  readonly stuckAfterMs: (leaseId: bigint) => number;
  readonly totals: LeaseBookTotals;
  readonly listener: UpstreamListener;
}

const nobody: ReadonlySet<string> = new Set();

/** The few streams of one scope. It decides where a renewal goes, and when a stream is given up. */
export class UpstreamStreams {
  readonly #options: UpstreamStreamsOptions;
  readonly #streams = new Set<UpstreamStream>();
  /** Members not to open streams on, and until when. */
  readonly #shunned = new Map<string, number>();
  #failures = 0;
  #pausedUntilMs = 0;
  #lastFailure: RenewalFailure | undefined;
  #leaderLosses = 0;

  constructor(options: UpstreamStreamsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Why there is no stream, if the last attempts failed. */
  get lastFailure(): RenewalFailure | undefined {
    return this.#lastFailure;
  }

  /** The stream that the next renewal of a lane may be sent on now; opened if there is room for another. */
  roomFor(lane: Lane): UpstreamStream | undefined {
    let best: UpstreamStream | undefined;
    let open = 0;
    const avoided = this.#avoided(this.#options.nowMs());
    for (const stream of this.#streams) {
      if (stream.lane !== lane || stream.phase.t !== "open") continue;
      if (!stream.port.isPreferred(avoided)) {
        this.#retire(stream);
        continue;
      }
      open++;
      if (best === undefined || stream.inAir.length < best.inAir.length) best = stream;
    }
    const { maxInAir, maxStreams } = this.#options.limits;
    if (best !== undefined && best.inAir.length < maxInAir) return best;
    return open < maxStreams[lane] ? this.#open(lane) : undefined;
  }

  /** Makes sure that etcd can tell of a lost leader, though there is nothing to renew. */
  keepOne(): void {
    if (this.#streams.size === 0) this.#open("sound");
  }

  /** Looks for streams that are stuck or idle. To be called every 100 ms or so. */
  tick(isSentinelWanted: boolean): void {
    const nowMs = this.#options.nowMs();
    for (const stream of [...this.#streams]) {
      if (stream.phase.t === "stuck") {
        if (nowMs - stream.phase.sinceMs > this.#options.limits.stuckForMs) this.#drop(stream);
      } else if (this.#isStuck(stream, nowMs)) {
        this.#markStuck(stream, nowMs);
      } else if (stream.inAir.length === 0 && this.#isSpare(stream, isSentinelWanted, nowMs)) {
        this.#drop(stream);
      }
    }
  }

  #isSpare(stream: UpstreamStream, isSentinelWanted: boolean, nowMs: number): boolean {
    if (!stream.port.isPreferred(this.#avoided(nowMs))) return true;
    if (isSentinelWanted && this.#streams.size === 1) return false;
    return nowMs - stream.activeAtMs > this.#options.limits.idleMs;
  }

  /** Ends all of them; nothing more is told. */
  close(): void {
    for (const stream of [...this.#streams]) this.#drop(stream);
  }

  #open(lane: Lane): UpstreamStream | undefined {
    const nowMs = this.#options.nowMs();
    if (nowMs < this.#pausedUntilMs) return undefined;
    if (this.#streams.size >= this.#options.limits.maxStreams.total && !this.#makeRoom()) return undefined;
    // The port tells nothing from inside `open`, so `stream` is there when it does.
    const port = this.#options.open(this.#options.scope, this.#avoided(nowMs), {
      onReply: (reply) => this.#onReply(stream, reply),
      onEnd: (end) => this.#onEnd(stream, end),
    });
    if (port === undefined) {
      this.#pause({ code: 14, message: "no etcd endpoint is available" });
      return undefined;
    }
    const stream: UpstreamStream = new UpstreamStream(lane, port, nowMs);
    this.#streams.add(stream);
    return stream;
  }

  #avoided(nowMs: number): ReadonlySet<string> {
    if (this.#shunned.size === 0) return nobody;
    for (const [member, untilMs] of this.#shunned) if (untilMs <= nowMs) this.#shunned.delete(member);
    return new Set(this.#shunned.keys());
  }

  /** Gives up the stream that has been stuck longest. What was in the air on it has been sent again already. */
  #makeRoom(): boolean {
    for (const stream of this.#streams) {
      if (stream.phase.t !== "stuck") continue;
      this.#drop(stream);
      return true;
    }
    return false;
  }

  #retire(stream: UpstreamStream): void {
    stream.phase = { t: "retiring" };
    if (stream.inAir.length === 0) this.#drop(stream);
  }

  #drop(stream: UpstreamStream): void {
    this.#streams.delete(stream);
    stream.phase = { t: "over" };
    stream.port.cancel();
  }

  #isStuck(stream: UpstreamStream, nowMs: number): boolean {
    return stream.inAir.some(
      ({ renewal, sentAtMs }) =>
        renewal.phase !== "settled" && nowMs - sentAtMs > this.#options.stuckAfterMs(renewal.leaseId),
    );
  }

  #markStuck(stream: UpstreamStream, nowMs: number): void {
    stream.phase = { t: "stuck", sinceMs: nowMs };
    this.#options.totals.stuckStreams++;
    this.#shunned.set(stream.port.member, nowMs + this.#options.limits.shunMs);
    const renewals = stream.carried();
    this.#options.listener.onReturned(renewals, renewals[0]);
  }

  #onReply(stream: UpstreamStream, reply: RenewalReply): void {
    if (stream.phase.t === "over") return;
    this.#failures = 0;
    this.#pausedUntilMs = 0;
    this.#lastFailure = undefined;
    this.#leaderLosses = 0;
    const sent = stream.take(reply.leaseId, this.#options.nowMs());
    // A stuck stream that answered everything after all is not used again: others have taken over.
    if (stream.inAir.length === 0 && stream.phase.t !== "open") this.#drop(stream);
    if (sent !== undefined) this.#options.listener.onReply(sent, reply);
  }

  #onEnd(stream: UpstreamStream, end: RenewalStreamEnd): void {
    if (stream.phase.t === "over") return;
    this.#streams.delete(stream);
    stream.phase = { t: "over" };
    const renewals = stream.carried();
    const { listener, limits, nowMs } = this.#options;
    switch (end.t) {
      case "refused": {
        const head = stream.inAir[0]?.renewal;
        if (head !== undefined) listener.onRefused(head, end.failure);
        else if (!stream.hasReplied) this.#pause(end.failure);
        listener.onReturned(renewals, undefined); // the head is settled now
        break;
      }
      case "leaderLost":
        this.#shunned.set(stream.port.member, nowMs() + limits.shunMs);
        // A member without a leader refuses new streams at once: two such refusals in a row are one too many.
        this.#leaderLosses = stream.isNew(nowMs()) ? this.#leaderLosses + 1 : 1;
        if (this.#leaderLosses > 1) {
          this.#leaderLosses = 0;
          listener.onLeaderLost(end.failure);
        }
        listener.onReturned(renewals, undefined);
        break;
      case "lost":
        if (!stream.hasReplied) this.#pause(end.failure);
        listener.onReturned(renewals, undefined);
        break;
      default:
        end satisfies never;
    }
  }

  #pause(failure: RenewalFailure): void {
    const { minPauseMs, maxPauseMs } = this.#options.limits;
    this.#lastFailure = failure;
    this.#pausedUntilMs =
      this.#options.nowMs() + Math.min(maxPauseMs, minPauseMs * 2 ** Math.min(this.#failures, 20));
    this.#failures++;
  }
}
