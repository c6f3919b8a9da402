import { encodeHeader, type HeaderView, type RangeQuery } from "@etcd-edge/proto";
import type { Clock, Timer } from "../ports.ts";
import { contains, hasKey, type KeyRange } from "../range/key-range.ts";
import type { LocalSource } from "../read/local-read.ts";
import type { Feed } from "../watch/feed.ts";
import type { HistoryMark } from "../watch/history.ts";
import { ProbeError } from "../watch/probe-flight.ts";
import { isRefusal } from "../watch/probe-refusal.ts";
import type { WatchHub } from "../watch/watch-hub.ts";
import type { CacheLimits } from "./cache-limits.ts";
import { HeldState } from "./held-state.ts";
import type { Snapshot } from "./load-snapshot.ts";

/** Why a range is held no more. */
export type HeldEnd = "ended" | "lost" | "busy" | "large" | "refused" | "failed" | "idle" | "closed";

/** What a held range is made of. */
export interface HeldRangeOptions {
  readonly hub: WatchHub;
  readonly range: KeyRange;
  readonly clock: Clock;
  readonly limits: CacheLimits;
  /** Asks a quorum whether the range may be read, with the readers' own credential. @throws ProbeError */
  readonly decide: () => Promise<HeaderView>;
  /** Reads all of the range from a quorum; nothing where it is too large. */
  readonly load: () => Promise<Snapshot | undefined>;
  /** For `LocalSource.probe`. */
  readonly probe: Uint8Array;
  /** It can be read from here from now on. */
  readonly onReady: () => void;
  /** It is over. Called once. */
  readonly onEnd: (end: HeldEnd) => void;
}

/**
 *     opening ──feed there──▶ loading ──snapshot at r, and C ≥ r──▶ ready
 *        └───────────┬───────────┴──────────────┬──────────────────┘
 *                    └── refused, too large, feed ended, log lost, idle ──▶ over
 *
 * Loading: the snapshot is at a revision r that a quorum gave after the feed was there, so the feed's base is not above r
 * (rule 6). What the log has above r makes it the state at any later coverage.
 */
type Phase =
  | { readonly t: "opening" }
  | {
      readonly t: "loading";
      readonly feed: Feed;
      readonly release: () => void;
      readonly snapshot: Snapshot | undefined;
    }
  | { readonly t: "ready"; readonly feed: Feed; readonly release: () => void; readonly state: HeldState }
  | { readonly t: "over" };

/** Reads that wait until everything up to a revision is there. */
interface Waiter {
  readonly revision: bigint;
  readonly timer: Timer;
  readonly onDone: (isCovered: boolean) => void;
}

/** After a wait in vain linearizable reads go to etcd for this long; doubled each time in a row. */
const firstPauseMs = 1_000;
const longestPauseMs = 30_000;
const rateWindowMs = 5_000;
const askAgainMs = 50;

/** A range whose keys are all here, kept up to date by a feed: it is at the feed's coverage, whole revisions only. */
export class HeldRange implements LocalSource {
  readonly range: KeyRange;
  readonly #options: HeldRangeOptions;
  #phase: Phase = { t: "opening" };
  /** The state is that of this revision: the feed's coverage, once ready. */
  #revision = 0n;
  #permittedAt = Number.NEGATIVE_INFINITY;
  /** What was decided before this does not count. */
  #decidedFrom = Number.NEGATIVE_INFINITY;
  #isRechecking = false;
  #waiters: Waiter[] = [];
  #isAsking = false;
  #askAgain: Timer | undefined = undefined;
  #pausedUntil = 0;
  #failures = 0;
  #usedAt: number;
  /** Since somebody last looked at `usedAt`: the time is not asked for every read. */
  #isUsed = false;
  #rate = { since: 0, bytes: 0 };
  #head: { readonly revision: bigint; readonly of: HeaderView; readonly bytes: Uint8Array } | undefined =
    undefined;

  constructor(options: HeldRangeOptions) {
    this.#options = options;
    this.range = options.range;
    this.#usedAt = options.clock.nowMs();
    void this.#open();
  }

  get phase(): Phase["t"] {
    return this.#phase.t;
  }

  get feed(): Feed | undefined {
    return this.#phase.t === "loading" || this.#phase.t === "ready" ? this.#phase.feed : undefined;
  }

  get bytes(): number {
    return this.#phase.t === "ready" ? this.#phase.state.bytes : 0;
  }

  get keys(): number {
    return this.#phase.t === "ready" ? this.#phase.state.keys : 0;
  }

  /** Proven up to here. */
  get revision(): bigint {
    return this.#revision;
  }

  /** When it was last read, of the clock. */
  get usedAt(): number {
    if (this.#isUsed) {
      this.#isUsed = false;
      this.#usedAt = this.#options.clock.nowMs();
    }
    return this.#usedAt;
  }

  /** Counts changes of the keys. */
  get version(): number {
    return this.#phase.t === "ready" ? this.#phase.state.version : -1;
  }

  /** Nothing has changed since this revision; nothing known where it is not ready. */
  get changedAt(): bigint | undefined {
    return this.#phase.t === "ready" ? this.#phase.state.changedAt : undefined;
  }

  has(range: KeyRange): boolean {
    return contains(this.range, range);
  }

  /** Whether reads that ask no quorum may be answered: the feed is unbroken, and the permission is fresh. */
  get isServing(): boolean {
    if (this.#phase.t !== "ready" || this.#phase.feed.state !== "live") return false;
    return this.#isPermitted();
  }

  get isUsable(): boolean {
    if (!this.isServing || this.#phase.t !== "ready" || !this.#phase.feed.isProgressTrusted) return false;
    return this.#pausedUntil === 0 || this.#options.clock.nowMs() >= this.#pausedUntil;
  }

  get probe(): Uint8Array {
    return this.#options.probe;
  }

  get mark(): HistoryMark {
    return this.#options.hub.history.mark;
  }

  /** The header of an answer from here, as field 1 of a RangeResponse. */
  head(): Uint8Array {
    const { lastHeader } = this.#options.hub;
    const known = this.#head;
    if (known !== undefined && known.revision === this.#revision && known.of === lastHeader)
      return known.bytes;
    const bytes = encodeHeader({ ...lastHeader, revision: this.#revision });
    this.#head = { revision: this.#revision, of: lastHeader, bytes };
    return bytes;
  }

  /** Permissions may have changed: nothing is answered from here until it was asked again. */
  forgetPermission(): void {
    this.#decidedFrom = this.#options.clock.nowMs();
  }

  /** It is being read. */
  touch(): void {
    this.#isUsed = true;
  }

  /** The answer to a query of keys in here; only while it is ready. */
  body(query: RangeQuery, range: KeyRange): Uint8Array {
    if (this.#phase.t !== "ready") throw new TypeError("the range is not held");
    this.touch();
    return this.#phase.state.answer(query, range);
  }

  cover(header: HeaderView, sent: HistoryMark, onDone: (isCovered: boolean) => void): () => void {
    const { hub, clock, limits } = this.#options;
    if (!hub.noteQuorum(header, sent) || this.#phase.t !== "ready") {
      onDone(false);
      return () => {};
    }
    if (this.#revision >= header.revision) {
      onDone(true);
      return () => {};
    }
    const timer = clock.setTimer(limits.coverMs, () => this.#giveUp(waiter));
    const waiter: Waiter = { revision: header.revision, timer, onDone };
    this.#waiters.push(waiter);
    this.#ask();
    return () => this.#drop(waiter);
  }

  /** The feed has advanced, or answered that it has not. */
  follow(): void {
    if (this.#phase.t === "loading") this.#begin();
    if (this.#phase.t !== "ready") return;
    this.#isAsking = false;
    if (this.#catchUp()) this.#settleCovered();
  }

  /** The feed is over. */
  feedEnded(): void {
    this.end("ended");
  }

  end(end: HeldEnd): void {
    const phase = this.#phase;
    if (phase.t === "over") return;
    this.#phase = { t: "over" };
    this.#askAgain?.stop();
    if (phase.t !== "opening") phase.release();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { timer, onDone } of waiters) {
      timer.stop();
      onDone(false);
    }
    this.#options.onEnd(end);
  }

  async #open(): Promise<void> {
    const { hub, range, load } = this.#options;
    try {
      const { revision } = await this.#probe();
      const prepared = await hub.keep(range, revision);
      if ("t" in prepared) return this.end(prepared.t === "refused" ? "refused" : "ended");
      const { feed, release } = prepared;
      if (this.#phase.t !== "opening") return release();
      this.#phase = { t: "loading", feed, release, snapshot: undefined };
      // Asked after the feed was there: it is not older than where that begins.
      const snapshot = await load();
      if (this.#phase.t !== "loading") return;
      if (snapshot === undefined) return this.end("large");
      this.#phase = { t: "loading", feed, release, snapshot };
      this.#begin();
      if (this.#phase.t === "loading") feed.requestProgress();
    } catch (error) {
      this.end(isRefusal(error) ? "refused" : "failed");
    }
  }

  /** Asks a quorum whether the range may still be read. @throws ProbeError */
  async #probe(): Promise<HeaderView> {
    const { decide, clock } = this.#options;
    const askedAt = clock.nowMs();
    const header = await decide();
    this.#permittedAt = askedAt;
    return header;
  }

  #begin(): void {
    if (this.#phase.t !== "loading" || this.#phase.snapshot === undefined) return;
    const { feed, release, snapshot } = this.#phase;
    if (feed.log.head < snapshot.revision) return; // held back until the feed has come so far (rule 6)
    this.#phase = {
      t: "ready",
      feed,
      release,
      state: new HeldState(this.range, snapshot.kvs, snapshot.revision),
    };
    this.#revision = snapshot.revision;
    this.#rate = { since: this.#options.clock.nowMs(), bytes: 0 };
    if (this.#catchUp()) this.#options.onReady();
  }

  /** Takes what the log has that is not in the state yet. @returns false if it was lost */
  #catchUp(): boolean {
    if (this.#phase.t !== "ready") return false;
    const { feed, state } = this.#phase;
    const { log } = feed;
    if (log.base > this.#revision) {
      this.end("lost");
      return false;
    }
    let bytes = 0;
    for (let segment = log.after(this.#revision); segment !== undefined; segment = log.after(segment.upto)) {
      bytes += segment.bytes;
      for (const event of segment.events) {
        if (event.modRevision > this.#revision && hasKey(this.range, event.key)) state.apply(event);
      }
    }
    if (log.head > this.#revision) this.#revision = log.head;
    if (bytes > 0 && this.#isTooBusy(bytes)) {
      this.end("busy");
      return false;
    }
    return true;
  }

  /** Only of a feed that nobody but us keeps open (rule 33). */
  #isTooBusy(bytes: number): boolean {
    if (this.#phase.t !== "ready" || this.#phase.feed.size > 0) return false;
    const now = this.#options.clock.nowMs();
    if (now - this.#rate.since > rateWindowMs) this.#rate = { since: now, bytes: 0 };
    this.#rate.bytes += bytes;
    return this.#rate.bytes > this.#options.limits.feedBytesPerSecond * (rateWindowMs / 1_000);
  }

  #isPermitted(): boolean {
    const { clock, limits } = this.#options;
    const age = clock.nowMs() - this.#permittedAt;
    const isOutdated = this.#permittedAt < this.#decidedFrom;
    if (isOutdated || age > limits.recheckMs / 2) this.#recheck();
    return !isOutdated && age <= limits.recheckMs;
  }

  #recheck(): void {
    if (this.#isRechecking) return;
    this.#isRechecking = true;
    this.#probe().then(
      () => {
        this.#isRechecking = false;
      },
      (error: unknown) => {
        this.#isRechecking = false;
        // Without a quorum nothing is said of permissions: they run out by themselves.
        if (error instanceof ProbeError && isRefusal(error)) this.end("refused");
      },
    );
  }

  /** Asks how far the feed is; again after a while, for etcd says nothing while a watch of the stream is behind. */
  #ask(): void {
    if (this.#isAsking || this.#phase.t !== "ready") return;
    this.#isAsking = true;
    this.#phase.feed.requestProgress();
    this.#askAgain ??= this.#options.clock.setTimer(askAgainMs, () => {
      this.#askAgain = undefined;
      if (this.#waiters.length === 0) return;
      this.#isAsking = false;
      this.#ask();
    });
  }

  #settleCovered(): void {
    if (this.#waiters.length === 0) return;
    const covered = this.#waiters.filter(({ revision }) => revision <= this.#revision);
    this.#waiters = this.#waiters.filter(({ revision }) => revision > this.#revision);
    if (this.#waiters.length > 0) this.#ask();
    if (covered.length > 0) {
      this.#failures = 0;
      this.#pausedUntil = 0;
    }
    for (const { timer, onDone } of covered) {
      timer.stop();
      onDone(true);
    }
  }

  #giveUp(waiter: Waiter): void {
    this.#drop(waiter);
    this.#isAsking = false;
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(this.#failures, 10));
    this.#failures++;
    this.#pausedUntil = this.#options.clock.nowMs() + pauseMs;
    waiter.onDone(false);
  }

  #drop(waiter: Waiter): void {
    waiter.timer.stop();
    this.#waiters = this.#waiters.filter((other) => other !== waiter);
  }
}
