import type { HeaderView } from "@etcd-edge/proto";
import type { KeyRange } from "../range/key-range.ts";
import type { Advance } from "../upstream/intake.ts";
import type { UpstreamWatch, Via } from "../upstream/upstream-watch.ts";
import { Delivery } from "./delivery.ts";
import { EventLog } from "./event-log.ts";
import type { FeedGroup } from "./feed-group.ts";
import type { FeedEnd, FeedOptions, FeedOwner } from "./feed-owner.ts";
import { Membership } from "./membership.ts";
import { Supply, type SupplyChange, type SupplyPort } from "./supply.ts";
import type { Watcher } from "./watcher.ts";

/**
 * One range, watched once at etcd, for any number of watchers: a `Supply` brings events into the log, the `Delivery`
 * takes them to the watchers of the `Membership`.
 */
export class Feed {
  readonly range: KeyRange;
  readonly log: EventLog;
  readonly #owner: FeedOwner;
  readonly #members: Membership;
  readonly #delivery: Delivery;
  readonly #supply: Supply;
  /** Previous values are wanted by somebody who does not hang on it yet. */
  #missesPrevKv = false;
  #isCatchUp: boolean;

  constructor(owner: FeedOwner, options: FeedOptions) {
    this.#owner = owner;
    this.range = options.range;
    this.#isCatchUp = options.isCatchUp;
    this.log = new EventLog(options.from);
    this.#members = new Membership(this, () => owner.onEmpty(this));
    this.#delivery = new Delivery(this.range, this.log, this.#members, {
      nowMs: () => owner.clock.nowMs(),
      onShared: (more) => owner.onShared(more),
      onRested: (lane) => this.#caughtUp(lane.watchers),
    });
    this.#supply = new Supply(this.#createSupplyPort(), options.prevKv);
  }

  /** Whether it is behind, with a stream of its own. */
  get isCatchUp(): boolean {
    return this.#isCatchUp;
  }

  /** It is as far as the store, and the feed of its range from now on. */
  promote(): void {
    this.#isCatchUp = false;
  }

  /** What its upstream watch is doing. */
  get state(): Supply["state"] {
    return this.#supply.state;
  }

  /** How many watchers hang on it. */
  get size(): number {
    return this.#members.size;
  }

  get groups(): Iterable<FeedGroup> {
    return this.#members.groups.values();
  }

  /** prev_kv is known for every event above this; nothing while it is not asked for (rule 20). */
  get prevKvBase(): bigint | undefined {
    return this.#supply.prevKvBase;
  }

  /** How many upstream watches it has opened after the first. */
  get reopened(): number {
    return this.#supply.reopened;
  }

  /** Whether etcd has said `created` once. */
  get hasOpened(): boolean {
    return this.#supply.hasOpened;
  }

  /** Whether somebody watches all of it. */
  get isWidthWanted(): boolean {
    return this.#members.groupOf(this.range) !== undefined || this.#members.isKept;
  }

  /** Where its events come from; nothing while it has no upstream watch. */
  get via(): Via | undefined {
    return this.#supply.watch?.via;
  }

  /** The upstream watch it has. */
  get watch(): Omit<UpstreamWatch, "cancel"> | undefined {
    return this.#supply.watch;
  }

  /** Whether somebody here needs previous values: a watcher of its own, or one who waits for them elsewhere. */
  get wantsPrevKv(): boolean {
    return this.#members.wantsPrevKv || this.#missesPrevKv;
  }

  get member(): string | undefined {
    return this.#supply.watch?.member;
  }

  /** Equal for feeds whose upstream watches share a stream. */
  get streamId(): string | undefined {
    return this.#supply.watch?.streamId;
  }

  /** Whether its upstream watch has shown that it is where it was asked to be. */
  get hasCovered(): boolean {
    return this.#supply.hasCovered;
  }

  get isProgressTrusted(): boolean {
    return this.#supply.watch?.gates.requestedProgress === true;
  }

  /** Whether a watcher at `position` gets from here all that it needs. */
  canHold(watcher: Watcher, position: bigint = watcher.position): boolean {
    if (this.state === "ended" || position < this.log.base) return false;
    return !watcher.wantsPrevKv || (this.prevKvBase !== undefined && position >= this.prevKvBase);
  }

  /** Takes a watcher that it can hold, at its position. */
  attach(watcher: Watcher): void {
    const group = this.#members.add(watcher);
    if (watcher.position >= this.log.head) {
      this.#delivery.welcome(watcher, group);
      this.#supply.resume();
    } else {
      group.lagging.add(watcher);
      watcher.stream.fellBehind(watcher);
    }
  }

  /** Lets a watcher go, with its position brought up to date. */
  detach(watcher: Watcher): void {
    const { group } = watcher;
    if (group?.feed !== this) return;
    this.#members.remove(watcher, group);
  }

  /**
   * Keeps it open without a watcher, until the returned function is called.
   * @param wantsWidth all of its range is wanted, and no part would do
   */
  hold(wantsWidth = false): () => void {
    return this.#members.hold(wantsWidth);
  }

  /**
   * Serves a lagging watcher one response from the log.
   * @returns whether it is still behind
   */
  pump(watcher: Watcher): boolean {
    const { group } = watcher;
    if (group?.feed !== this || !group.lagging.has(watcher)) return false;
    const served = this.#delivery.serve(watcher, group);
    if (served === "fallen") {
      this.detach(watcher);
      this.#owner.onDetached(watcher);
    } else if (served === "through") {
      group.lagging.delete(watcher);
      this.#delivery.welcome(watcher, group);
      this.#caughtUp([watcher]);
    }
    return served === "behind";
  }

  /** Asks etcd how far this range is. Nothing where the answer could not be trusted. */
  requestProgress(): void {
    this.#supply.watch?.requestProgress();
  }

  /** Goes over to another upstream watch without a gap: the old one stays until the new one has covered as much. */
  replace(change: SupplyChange): void {
    this.#supply.replace(change);
  }

  /** Whether that is under way. */
  get isMoving(): boolean {
    return this.#supply.nextWatch !== undefined;
  }

  /**
   * Asks where it is about to be how far that is. etcd answers nothing for a watch that it is still bringing up to date,
   * and in a range in which nothing happens nothing else would show that it is there.
   */
  urgeMove(): void {
    this.#supply.nextWatch?.requestProgress();
  }

  /** The member it is about to be on, while that is under way. */
  get movingTo(): string | undefined {
    return this.#supply.nextWatch?.member;
  }

  /** Stays where it is, if it was about to go over. */
  abandonMove(): void {
    this.#supply.abandonMove();
  }

  /**
   * Previous values are wanted from now on. Whoever asks supplies himself until `prevKvBase` is there, and asks again
   * now and then: a move may be abandoned.
   */
  upgrade(): void {
    if (this.prevKvBase !== undefined) return;
    this.#setMissesPrevKv(true);
    // Whoever has the watch is told that they are wanted, and has them soon.
    this.replace(this.via === "fabric" ? { prevKv: true, via: "fabric" } : { prevKv: true });
  }

  /** Stops asking for previous values, if nobody here wants them. */
  downgrade(): void {
    this.#setMissesPrevKv(false);
    if (this.prevKvBase !== undefined && !this.#needsPrevKv(this.via)) this.replace({ prevKv: false });
  }

  /** Gives up the upstream watch it has, which says nothing more, for another. */
  moveAway(): void {
    this.#supply.moveAway();
  }

  /** Ends it. Watchers that are live are told by the owner; those behind drain what the log has. */
  end(end: FeedEnd): void {
    if (this.state === "ended") return;
    this.#supply.stop(end);
    this.#owner.budget.forget(this.log);
    this.#owner.onEnded(this, end);
  }

  #createSupplyPort(): SupplyPort {
    const feed = this;
    const owner = this.#owner;
    return {
      owner,
      range: this.range,
      get head() {
        return feed.log.head;
      },
      get isCatchUp() {
        return feed.#isCatchUp;
      },
      needsPrevKv: (via) => this.#needsPrevKv(via),
      onOpened: () => owner.onOpened(this),
      onAdvance: (advance, header) => this.#advance(advance, header),
      onProgressed: () => owner.onProgressed(this),
      onSwapped: () => owner.onChanged(this),
      onLost: (code, message) => owner.onLost(this, code, message),
      onResumed: () => owner.onResumed(),
      onEnd: (end) => this.end(end),
    };
  }

  #setMissesPrevKv(misses: boolean): void {
    if (this.#missesPrevKv === misses) return;
    this.#missesPrevKv = misses;
    this.#owner.onChanged(this);
  }

  #needsPrevKv(via: Via | undefined): boolean {
    return this.wantsPrevKv || (via === "etcd" && this.#owner.wantsPrevKv(this));
  }

  #advance(advance: Advance, header: HeaderView): void {
    const { head, lastEvent } = this.log;
    const { upto } = advance;
    if (upto <= head) return;
    const fresh = advance.events.filter((event) => event.modRevision > head);
    const added = this.log.append(fresh, upto, header);
    // Others first: it takes them longer.
    this.#owner.onNews(this, { prev: lastEvent, upto, events: fresh, header });
    for (const segment of added) this.#delivery.spread(segment);
    if (fresh.length > 0) this.#bound();
    this.#owner.onAdvanced(this, fresh.length);
  }

  #bound(): void {
    const { budget } = this.#owner;
    if (this.state === "ended") return;
    const isLong = this.#isCatchUp && this.size > 0 && this.log.bytes > budget.maxLogBytes;
    // Reading on would only drop what nobody has taken yet.
    if (isLong && !this.#delivery.isTaken) this.#supply.pause();
    else budget.grew(this.log);
  }

  #caughtUp(watchers: readonly Watcher[]): void {
    const { end } = this.#supply;
    if (this.state === "full") this.#supply.resume();
    else if (end !== undefined) for (const watcher of [...watchers]) this.#owner.onDrained(watcher, end);
    else if (this.#isCatchUp) this.#owner.onAdvanced(this, 0);
  }
}
