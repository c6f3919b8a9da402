import type { Clock, Timer } from "../ports.ts";
import { contains, isSameRange, type KeyRange, lowerBound } from "../range/key-range.ts";
import type { Feed } from "../watch/feed.ts";
import type { WatchHub } from "../watch/watch-hub.ts";
import type { CacheLimits } from "./cache-limits.ts";
import { type HeldEnd, HeldRange } from "./held-range.ts";
import { type Heat, HotRanges } from "./hot-ranges.ts";
import type { Snapshot } from "./load-snapshot.ts";
import type { RangePlan } from "./range-plan.ts";

/** Feeds of a scope, for as long as they are not released. */
export interface OpenHub {
  readonly hub: WatchHub;
  /** Asks etcd with the credential of the scope; the same as `hub` unless that is shared with others. */
  readonly own: WatchHub;
  readonly release: () => void;
}

/** Whose keys are held: everybody in it may see the same ones. */
export interface HeldScope {
  /** Equal for those who share. */
  readonly id: string;
  /** The feeds of the scope, for as long as they are not released. */
  openHub(): OpenHub;
  /** Reads a whole range from a quorum. */
  load(
    hub: WatchHub,
    range: KeyRange,
    bounds: { readonly maxBytes: number; readonly maxKeys: number },
  ): Promise<Snapshot | undefined>;
  /** A linearizable RangeRequest, as etcd gets it, that costs next to nothing: of one key, without its value. */
  probeOf(key: Uint8Array): Uint8Array;
}

interface ScopeRanges {
  readonly hub: WatchHub;
  readonly own: WatchHub;
  readonly release: () => void;
  readonly ranges: Set<HeldRange>;
}

/** What the ranges have been through. */
export interface HeldCounts {
  opened: number;
  readonly ended: Record<HeldEnd, number>;
}

const sweepMs = 1_000;
/** Who has been read less than this long ago does not make room for another. */
const recentMs = 10_000;
const rangeWeight = 10;
const banMs: Readonly<Record<HeldEnd, number>> = {
  busy: 600_000,
  large: 600_000,
  refused: 5_000,
  failed: 5_000,
  lost: 1_000,
  ended: 1_000,
  idle: 0,
  closed: 0,
};

/** The ranges whose keys are here, because they are read so often: at most so many, within a bound of bytes (rule 33). */
export class HeldRanges implements Disposable {
  readonly counts: HeldCounts = {
    opened: 0,
    ended: { ended: 0, lost: 0, busy: 0, large: 0, refused: 0, failed: 0, idle: 0, closed: 0 },
  };
  readonly #clock: Clock;
  readonly #limits: CacheLimits;
  readonly #scopes = new Map<string, ScopeRanges>();
  readonly #heats = new Map<string, HotRanges>();
  /** Told apart so that plans need not look again while nothing has changed. */
  #state = 0;
  #count = 0;
  #sweep: Timer | undefined = undefined;

  constructor(clock: Clock, limits: CacheLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get size(): number {
    return this.#count;
  }

  get bytes(): number {
    let bytes = 0;
    for (const range of this.all()) bytes += range.bytes;
    return bytes;
  }

  *all(): IterableIterator<HeldRange> {
    for (const { ranges } of this.#scopes.values()) yield* ranges;
  }

  /** For how long the most outdated of the answers given from here may have been wrong, in milliseconds. */
  get ageMs(): number {
    let most = 0;
    for (const { hub, ranges } of this.#scopes.values()) {
      for (const range of ranges) if (range.isServing) most = Math.max(most, hub.ageOf(range.revision));
    }
    return most;
  }

  /** A range that has all keys of the plan, if one is ready. */
  find(scopeId: string, plan: RangePlan): HeldRange | undefined {
    if (plan.heldAt === this.#state) return plan.held;
    plan.heldAt = this.#state;
    plan.held = undefined;
    const { range, isKeyOrdered } = plan;
    if (range === undefined || !isKeyOrdered) return undefined;
    for (const held of this.#scopes.get(scopeId)?.ranges ?? []) {
      if (held.phase === "ready" && contains(held.range, range)) {
        plan.held = held;
        break;
      }
    }
    return plan.held;
  }

  /** Somebody reads this. Makes it a held range, if it is hot. */
  note(scope: HeldScope, plan: RangePlan): void {
    const { range } = plan;
    if (range === undefined || !plan.isKeyOrdered || this.#limits.feeds === 0) return;
    const heats = this.#heatsOf(scope.id);
    const isPoint = range.t === "point";
    if (isPoint) {
      plan.groupHeat ??= heats.ofGroup(range.key);
      const { groupHeat } = plan;
      if (groupHeat !== undefined && heats.note(groupHeat, 1, plan.timeless)) {
        this.#hold(scope, groupHeat);
        return;
      }
      // One key that is read by quorum costs etcd no more than the feed would save.
      if (!plan.query.isSerializable) return;
    }
    plan.heat ??= heats.of(range);
    const { heat } = plan;
    if (heat !== undefined && heats.note(heat, isPoint ? 1 : rangeWeight)) this.#hold(scope, heat);
  }

  /** Permissions may have changed. */
  forgetPermissions(): void {
    for (const held of this.all()) held.forgetPermission();
  }

  /** Lets go of everything. */
  [Symbol.dispose](): void {
    this.#sweep?.stop();
    for (const held of [...this.all()]) held.end("closed");
  }

  #heatsOf(scopeId: string): HotRanges {
    let heats = this.#heats.get(scopeId);
    if (heats === undefined) {
      heats = new HotRanges(this.#clock);
      this.#heats.set(scopeId, heats);
      if (this.#heats.size > maxScopes) {
        const [oldest] = this.#heats.keys();
        if (oldest !== undefined) this.#heats.delete(oldest);
      }
    }
    return heats;
  }

  #hold(scope: HeldScope, heat: Heat): void {
    const { range } = heat;
    const standing = this.#scopes.get(scope.id);
    for (const held of standing?.ranges ?? []) if (held.has(range)) return;
    // Asked again a little later, whatever comes of it.
    heat.bannedUntil = this.#clock.nowMs() + 1_000;
    if (this.#count >= this.#limits.feeds && !this.#makeRoom()) return;
    const of = standing ?? this.#open(scope);
    const { hub, own } = of;
    const { clock, limits } = { clock: this.#clock, limits: this.#limits };
    this.counts.opened++;
    this.#count++;
    const held: HeldRange = new HeldRange({
      hub,
      range,
      clock,
      limits,
      probe: scope.probeOf(lowerBound(range)),
      decide: () => own.probe(range),
      load: () => scope.load(hub, range, { maxBytes: limits.heldBytes / 2, maxKeys: limits.heldKeys }),
      onReady: () => {
        this.#state++;
        this.#trim(held);
      },
      onEnd: (end) => {
        this.#state++;
        this.#count--;
        this.counts.ended[end]++;
        heat.bannedUntil = this.#clock.nowMs() + banMs[end];
        of.ranges.delete(held);
        if (of.ranges.size === 0) this.#close(scope.id, of);
      },
    });
    of.ranges.add(held);
    this.#sweep ??= this.#clock.setTimer(sweepMs, () => this.#tidy());
  }

  #open(scope: HeldScope): ScopeRanges {
    const { hub, own, release } = scope.openHub();
    const ranges = new Set<HeldRange>();
    const stops = [
      hub.onProgress((feed) => each(ranges, feed, (held) => held.follow())),
      hub.onFeedEnd((feed) => each(ranges, feed, (held) => held.feedEnded())),
    ];
    const of: ScopeRanges = {
      hub,
      own,
      ranges,
      release: () => {
        for (const stop of stops) stop();
        release();
      },
    };
    this.#scopes.set(scope.id, of);
    return of;
  }

  #close(scopeId: string, of: ScopeRanges): void {
    if (this.#scopes.get(scopeId) !== of) return;
    this.#scopes.delete(scopeId);
    // Not from inside what a feed is just telling everybody.
    void Promise.resolve().then(of.release);
  }

  /** Lets go of the one that was not read for longest, if that is long enough ago. */
  #makeRoom(): boolean {
    let victim: HeldRange | undefined;
    for (const held of this.all()) if (victim === undefined || held.usedAt < victim.usedAt) victim = held;
    if (victim === undefined || this.#clock.nowMs() - victim.usedAt < recentMs) return false;
    victim.end("idle");
    return true;
  }

  /** Keeps within the bound of bytes: what was not read for longest goes, the given one last. */
  #trim(spared?: HeldRange): void {
    let { bytes } = this;
    if (bytes <= this.#limits.heldBytes) return;
    const byUse = [...this.all()].sort(
      (a, b) => Number(a === spared) - Number(b === spared) || a.usedAt - b.usedAt,
    );
    for (const held of byUse) {
      if (bytes <= this.#limits.heldBytes) break;
      bytes -= held.bytes;
      held.end("large");
    }
  }

  #tidy(): void {
    this.#sweep = undefined;
    const before = this.#clock.nowMs() - this.#limits.idleMs;
    for (const held of [...this.all()]) {
      if (held.usedAt < before) held.end("idle");
      // A wide feed whose watchers have left is not kept for a part of it (rule 24): that gets one of its own.
      else if (held.feed?.size === 0 && !isSameRange(held.feed.range, held.range)) held.end("ended");
    }
    this.#trim();
    if (this.#count > 0) this.#sweep = this.#clock.setTimer(sweepMs, () => this.#tidy());
  }
}

const maxScopes = 256;

function each(ranges: Set<HeldRange>, feed: Feed, act: (held: HeldRange) => void): void {
  for (const held of [...ranges]) if (held.feed === feed) act(held);
}
