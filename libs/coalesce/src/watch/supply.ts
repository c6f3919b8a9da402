import type { HeaderView } from "@etcd-edge/proto";
import type { Timer } from "../ports.ts";
import type { KeyRange } from "../range/key-range.ts";
import type { Advance } from "../upstream/intake.ts";
import type { UpstreamEnd, UpstreamWatch, UpstreamWatchRequest, Via } from "../upstream/upstream-watch.ts";
import type { FeedEnd, FeedOwner } from "./feed-owner.ts";
import { FeedUpstream, type FeedUpstreamListener } from "./feed-upstream.ts";
import { isRefusal, refusalText } from "./probe-refusal.ts";

/**
 *     opening ──created──▶ live ◀───────────────────────┐
 *        ▲ │                │ │ every reader is behind    │ created
 *        │ │ lost      lost │ └──────────▶ full ──────────┤ (by way of opening)
 *        │ ▼                ▼                             │
 *        └─ retrying ◀──────┘     one reader is through ──┘
 *
 *     any of them ── compacted, refused, no watcher left ──▶ ended
 *
 * A supply that is live may have a second upstream watch beside the first, which takes its place once it has covered what
 * the first has (rule 22).
 */
type SupplyState =
  | { readonly t: "opening"; readonly upstream: FeedUpstream }
  | { readonly t: "live"; readonly upstream: FeedUpstream; readonly next: FeedUpstream | undefined }
  | { readonly t: "retrying"; readonly timer: Timer }
  | { readonly t: "full" }
  | { readonly t: "ended"; readonly end: FeedEnd };

/** What a supply needs of its feed. */
export interface SupplyPort {
  readonly owner: Pick<FeedOwner, "source" | "clock" | "fetchPrevious" | "confirmHistory">;
  readonly range: KeyRange;
  /** What the feed knows: watches are asked for from here on. */
  readonly head: bigint;
  /** Whether it is behind, with a stream of its own. */
  readonly isCatchUp: boolean;
  /** Whether a watch from there has to bring previous values: for a watcher here, or for others who live on it. */
  needsPrevKv(via: Via): boolean;
  onOpened(): void;
  onAdvance(advance: Advance, header: HeaderView): void;
  /** A progress answer came, after its `onAdvance` if it said anything new. */
  onProgressed(): void;
  /** Another upstream watch has taken the place of the one before. */
  onSwapped(): void;
  onLost(code: number, message: string): void;
  /** Another upstream watch was opened, to go on where the last one ended. */
  onResumed(): void;
  /** It cannot go on: the feed is to be ended. */
  onEnd(end: FeedEnd): void;
}

/** How another upstream watch is to differ from the one a supply has. */
export interface SupplyChange {
  readonly prevKv?: boolean;
  readonly isAlone?: boolean;
  /** The member it should be on; that of the next turn if it is left out. */
  readonly toward?: string;
  /** Where it is to come from; left open if it is left out. */
  readonly via?: Via;
}

const firstRetryMs = 50;
const longestRetryMs = 5_000;

/** Where a feed's events come from: an upstream watch that is opened, resumed, moved and given up. */
export class Supply {
  /** prev_kv is known for every event above this; nothing while it is not asked for (rule 20). */
  #prevKvBase: bigint | undefined;
  /** How many upstream watches it has opened after the first. */
  #reopened = 0;
  readonly #port: SupplyPort;
  #state: SupplyState;
  #attempts = 0;
  #hasOpened = false;
  /** One later than rule 5 has it: etcd has compacted exactly the revision before, and this version is complete there. */
  #skipsKnown = false;

  /** Opens the first upstream watch. */
  constructor(port: SupplyPort, prevKv: boolean) {
    this.#port = port;
    this.#prevKvBase = prevKv ? port.head : undefined;
    this.#state = this.#opening(undefined, undefined);
  }

  get state(): SupplyState["t"] {
    return this.#state.t;
  }

  /** How it ended, if it did. */
  get end(): FeedEnd | undefined {
    return this.#state.t === "ended" ? this.#state.end : undefined;
  }

  get prevKvBase(): bigint | undefined {
    return this.#prevKvBase;
  }

  get reopened(): number {
    return this.#reopened;
  }

  /** Whether etcd has said `created` once. */
  get hasOpened(): boolean {
    return this.#hasOpened;
  }

  /** The upstream watch it has, to ask it things. */
  get watch(): Omit<UpstreamWatch, "cancel"> | undefined {
    return this.#upstreams().upstream?.watch;
  }

  /** Whether that has shown that it is where it was asked to be. */
  get hasCovered(): boolean {
    return this.#upstreams().upstream?.hasCovered === true;
  }

  /** The upstream watch that is to take the place of the one it has. */
  get nextWatch(): Omit<UpstreamWatch, "cancel"> | undefined {
    return this.#upstreams().next?.watch;
  }

  /** Goes over to another upstream watch without a gap: the old one stays until the new one has covered as much. */
  replace(change: SupplyChange): void {
    if (this.#state.t !== "live" || this.#state.next !== undefined) return;
    const { upstream } = this.#state;
    const next = this.#open({
      prevKv: change.prevKv ?? upstream.prevKv,
      isAlone: change.isAlone ?? this.#port.isCatchUp,
      avoid: undefined,
      toward: change.toward,
      via: change.via,
    });
    this.#state = { t: "live", upstream, next };
  }

  /** Stays with the upstream watch it has, if it was about to go over to another. */
  abandonMove(): void {
    if (this.#state.t !== "live" || this.#state.next === undefined) return;
    const { upstream, next } = this.#state;
    this.#state = { t: "live", upstream, next: undefined };
    next.cancel();
  }

  /** Gives up the upstream watch it has, which says nothing more, for another. */
  moveAway(): void {
    const { upstream } = this.#upstreams();
    if (upstream === undefined) return;
    upstream.cancel();
    this.#retry(upstream.member, 0);
  }

  /** Reads no further until `resume`: cancelled, not held back, for a full channel is where old etcds lose events (rule 4). */
  pause(): void {
    if (this.#state.t === "ended") return;
    this.#drop();
    this.#state = { t: "full" };
  }

  /** Goes on if it was paused. */
  resume(): void {
    if (this.#state.t === "full") this.#reopen(undefined, undefined);
  }

  #reopen(avoid: string | undefined, via: Via | undefined): void {
    this.#state = this.#opening(avoid, via);
    this.#port.onResumed();
  }

  /** For good. Told to nobody. */
  stop(end: FeedEnd): void {
    this.#drop();
    this.#state = { t: "ended", end };
  }

  #drop(): void {
    const { upstream, next } = this.#upstreams();
    if (this.#state.t === "retrying") this.#state.timer.stop();
    upstream?.cancel();
    next?.cancel();
  }

  #upstreams(): { readonly upstream?: FeedUpstream | undefined; readonly next?: FeedUpstream | undefined } {
    return this.#state.t === "opening" || this.#state.t === "live" ? this.#state : {};
  }

  #opening(avoid: string | undefined, via: Via | undefined): SupplyState {
    const prevKv = this.#prevKvBase !== undefined;
    const how = { prevKv, isAlone: this.#port.isCatchUp, avoid, toward: undefined, via };
    return { t: "opening", upstream: this.#open(how) };
  }

  #open(how: Omit<UpstreamWatchRequest, "range" | "startRevision" | "coverage">): FeedUpstream {
    const { head, range, owner } = this.#port;
    // One less than needed, for the next revision may be compacted or in the future (rule 5).
    const needed = this.#skipsKnown ? head + 1n : head;
    const startRevision = needed < 1n ? 1n : needed;
    const request = { range, startRevision, coverage: head, ...how };
    return new FeedUpstream(owner.source, request, owner.fetchPrevious, this.#listener);
  }

  readonly #listener: FeedUpstreamListener = {
    onCreated: (upstream) => {
      if (this.#state.t === "opening" && this.#state.upstream === upstream) {
        this.#state = { t: "live", upstream, next: undefined };
        this.#hasOpened = true;
        this.#port.onOpened();
      }
      // What is new has to show how far it is: nothing may happen in its range for long.
      upstream.watch.requestProgress();
    },
    onAdvance: (upstream, advance, header) => {
      const { upstream: current, next } = this.#upstreams();
      if (upstream === current) this.#advance(advance, header);
      else if (upstream === next && upstream.coverage >= this.#port.head)
        this.#swap(upstream, advance, header);
    },
    onProgressed: (upstream) => {
      const { upstream: current, next } = this.#upstreams();
      // It has said that it is where it was asked to be, and nothing has happened meanwhile.
      const isThere = upstream === next && upstream.hasCovered && upstream.coverage >= this.#port.head;
      if (isThere) this.#swap(upstream, undefined, undefined);
      if (upstream === current || isThere) this.#port.onProgressed();
    },
    onEnd: (upstream, end) => {
      const { upstream: current, next } = this.#upstreams();
      // A move that does not succeed is abandoned; the old watch goes on (rule 22).
      if (upstream === next && current !== undefined)
        this.#state = { t: "live", upstream: current, next: undefined };
      else if (upstream === current) this.#onUpstreamEnd(upstream, end);
    },
  };

  #advance(advance: Advance, header: HeaderView): void {
    if (advance.upto > this.#port.head) {
      this.#attempts = 0;
      this.#skipsKnown = false;
    }
    this.#port.onAdvance(advance, header);
  }

  #swap(next: FeedUpstream, advance: Advance | undefined, header: HeaderView | undefined): void {
    const { upstream: old } = this.#upstreams();
    if (!next.prevKv && this.#port.needsPrevKv(next.watch.via) && old !== undefined) {
      // Somebody came meanwhile who wants what it does not bring.
      next.cancel();
      this.#state = { t: "live", upstream: old, next: undefined };
      return;
    }
    if (next.prevKv) this.#prevKvBase ??= this.#port.head;
    else this.#prevKvBase = undefined;
    this.#state = { t: "live", upstream: next, next: undefined };
    old?.cancel();
    this.#reopened++;
    this.#port.onSwapped();
    if (advance !== undefined && header !== undefined) this.#advance(advance, header);
  }

  #onUpstreamEnd(upstream: FeedUpstream, end: UpstreamEnd): void {
    switch (end.t) {
      case "lost":
        this.#port.onLost(end.code, end.message);
        this.#retry(upstream.member, this.#attempts === 0 ? 0 : this.#backoffMs());
        return;
      case "refused":
        // Without a reason it says nothing that a client could be told: asked again.
        if (end.reason === "") this.#retry(upstream.member, this.#backoffMs());
        else this.#port.onEnd(end);
        return;
      case "ceded":
        this.#retry(upstream.member, 0, end.needsEtcd ? "etcd" : undefined);
        return;
      case "compacted":
        this.#onCompacted(upstream, end.compactRevision);
        return;
      default:
        end satisfies never;
    }
  }

  /** Rules 5 and 15: when an upstream "compacted" is the end of the feed, and when it says nothing about it. */
  #onCompacted(upstream: FeedUpstream, compactRevision: bigint): void {
    const { head } = this.#port;
    if (compactRevision > head + 1n) {
      this.#port.onEnd({ t: "compacted", compactRevision });
    } else if (upstream.hasCovered || compactRevision <= head) {
      this.#retry(upstream.member, this.#backoffMs());
    } else if (this.#skipsKnown || !upstream.watch.gates.isKnown) {
      this.#retry(upstream.member, this.#backoffMs());
    } else if (upstream.watch.gates.startAtCompact) {
      this.#skipsKnown = true;
      this.#reopen(undefined, undefined);
    } else {
      // This version leaves out deletes at the compacted revision itself: for its watchers that is gone as well.
      this.#port.onEnd({ t: "compacted", compactRevision: compactRevision + 1n });
    }
  }

  #backoffMs(): number {
    return Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(this.#attempts, 10));
  }

  #retry(avoid: string, delayMs: number, via?: Via): void {
    this.#upstreams().next?.cancel();
    this.#attempts++;
    this.#reopened++;
    const { owner } = this.#port;
    const timer = owner.clock.setTimer(delayMs, () => {
      const isStillIt = (): boolean => this.#state.t === "retrying" && this.#state.timer === timer;
      owner.confirmHistory(this.#port.range).then(
        () => {
          if (isStillIt()) this.#reopen(avoid, via);
        },
        (error: unknown) => {
          if (!isStillIt()) return;
          // As etcd itself would answer to the create: a token that is forgotten is not remembered by asking again.
          if (isRefusal(error)) this.#port.onEnd({ t: "refused", reason: refusalText(error) });
          else this.#retry(avoid, this.#backoffMs(), via);
        },
      );
    });
    this.#state = { t: "retrying", timer };
  }
}
