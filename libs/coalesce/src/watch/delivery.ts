import type { EventView } from "@etcd-edge/proto";
import { hasKey, isSameRange, type KeyRange } from "../range/key-range.ts";
import { Batch } from "./batch.ts";
import type { EventLog, Segment } from "./event-log.ts";
import type { FeedGroup } from "./feed-group.ts";
import type { Lane, LanePort } from "./lane.ts";
import type { Membership } from "./membership.ts";
import type { Watcher } from "./watcher.ts";

/** What became of a watcher that was served from the log. */
export type Served =
  /** It needs more of the log. */
  | "behind"
  /** It has all that there is. */
  | "through"
  /** The log has lost what it needs. */
  | "fallen"
  /** It hangs on this group no more: what was sent ended its stream. */
  | "gone";

/** What a delivery needs of its feed. */
export interface DeliveryListener {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** A response went to so many watchers, and was made for the first of them. */
  onShared(more: number): void;
  /** All watchers of a lane have all there is. */
  onRested(lane: Lane): void;
}

/** Events that go to many watchers in one message: less than the 16 KiB of a frame, with what is around them. */
const maxFanBytes = 15 * 1024;

/** Brings the events of a feed's log to its watchers: to who is live as they come, to lanes in their turn, to who lags on request. */
export class Delivery {
  readonly #range: KeyRange;
  readonly #log: EventLog;
  readonly #members: Membership;
  readonly #listener: DeliveryListener;
  readonly #lanes: LanePort;

  /** @param range of the feed */
  constructor(range: KeyRange, log: EventLog, members: Membership, listener: DeliveryListener) {
    this.#range = range;
    this.#log = log;
    this.#members = members;
    this.#listener = listener;
    this.#lanes = this.#createLanePort();
  }

  /** Puts a watcher of a group where it belongs: it has everything up to the head, or begins above it. */
  welcome(watcher: Watcher, group: FeedGroup): void {
    group.welcome(watcher, this.#lanes);
  }

  /** Gives a new segment to all live watchers that can take it; the others lag from here on. Lanes get it in their turn. */
  spread(segment: Segment): void {
    const own = this.#members.groupOf(this.#range);
    if (own !== undefined) this.#deliver(own, segment, segment.events);
    if (this.#members.groups.size === (own === undefined ? 0 : 1)) return;
    const touched = new Map<FeedGroup, EventView[]>();
    for (const event of segment.events) {
      this.#members.groups.find(event.key, (group) => {
        if (group === own) return;
        const events = touched.get(group);
        if (events === undefined) touched.set(group, [event]);
        else events.push(event);
      });
    }
    for (const [group, events] of touched) this.#deliver(group, segment, events);
  }

  /** Gives a lagging watcher one response from the log: small segments together, as etcd does for who is behind. */
  serve(watcher: Watcher, group: FeedGroup): Served {
    if (watcher.position < this.#log.base) return "fallen";
    const segments = this.#log.stretch(watcher.position);
    const last = segments.at(-1);
    if (last !== undefined) {
      const batch = this.#batchOf(group, segments);
      if (batch.events.length > 0) watcher.take(batch);
      // What is sent may be too much for the client's connection, and end the stream.
      if (watcher.group !== group) return "gone";
      watcher.position = last.upto;
    }
    return this.#log.after(watcher.position) === undefined ? "through" : "behind";
  }

  /** Whether somebody has taken anything of what the log holds. */
  get isTaken(): boolean {
    for (const group of this.#members.groups.values()) {
      if (group.live.size > 0) return true;
      for (const lane of group.lanes) if (lane.position > this.#log.base) return true;
    }
    return false;
  }

  #deliver(group: FeedGroup, segment: Segment, events: readonly EventView[]): void {
    for (const lane of group.lanes) lane.wake(segment.prev);
    if (group.live.size === 0) return;
    const batch = new Batch(events, segment.header);
    let receivers = 0;
    for (const watcher of group.live) {
      if (watcher.stream.canTake) {
        receivers++;
        watcher.take(batch);
      } else {
        if (segment.prev > watcher.position) watcher.position = segment.prev;
        group.live.delete(watcher);
        this.#fallBehind(watcher, group);
      }
    }
    this.#countReceivers(batch, receivers);
    if (segment.upto === this.#log.head) this.#join(group);
  }

  /** Who began above the head and is not any more goes on with others. */
  #join(group: FeedGroup): void {
    for (const watcher of group.live) {
      if (watcher.stream.fans === undefined || watcher.position > this.#log.head) continue;
      group.live.delete(watcher);
      this.welcome(watcher, group);
    }
  }

  #fallBehind(watcher: Watcher, group: FeedGroup): void {
    group.lagging.add(watcher);
    watcher.stream.fellBehind(watcher);
  }

  #countReceivers(batch: Batch, receivers: number): void {
    const more = batch.receivers === 0 ? receivers - 1 : receivers;
    batch.receivers += receivers;
    if (more > 0) this.#listener.onShared(more);
  }

  #createLanePort(): LanePort {
    const log = this.#log;
    return {
      get head() {
        return log.head;
      },
      nowMs: () => this.#listener.nowMs(),
      next: (group, position) => {
        if (position < log.base) return "lost";
        const segments = log.stretch(position, maxFanBytes);
        const last = segments.at(-1);
        if (last === undefined) return "none";
        const known = group.lastBatch;
        if (known?.prev === position && known.upto === last.upto) return known;
        const fresh = { prev: position, upto: last.upto, batch: this.#batchOf(group, segments) };
        group.lastBatch = fresh;
        return fresh;
      },
      onRested: (lane) => {
        if (lane.size === 0) lane.group.drop(lane);
        lane.group.lastBatch = undefined;
        lane.group.merge(lane);
        this.#listener.onRested(lane);
      },
      onLeft: (watcher) => {
        const { group } = watcher;
        if (group !== undefined) this.#fallBehind(watcher, group);
      },
      onDelivered: (batch, receivers) => this.#countReceivers(batch, receivers),
    };
  }

  #batchOf(group: FeedGroup, segments: readonly Segment[]): Batch {
    const [first] = segments;
    const header = segments.at(-1)?.header ?? noHeader;
    const isWhole = isSameRange(group.range, this.#range);
    if (isWhole && segments.length === 1) return new Batch(first?.events ?? [], header);
    const events = segments.flatMap((segment) => segment.events);
    return new Batch(isWhole ? events : events.filter(({ key }) => hasKey(group.range, key)), header);
  }
}

const noHeader = { clusterId: 0n, memberId: 0n, revision: 0n, raftTerm: 0n };
