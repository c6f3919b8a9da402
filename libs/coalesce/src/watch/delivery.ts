import type { EventView } from "@etcd-edge/proto";
import { hasKey, isSameRange, type KeyRange } from "../range/key-range.ts";
import { Batch } from "./batch.ts";
import type { EventLog, Segment } from "./event-log.ts";
import type { FeedGroup } from "./feed-group.ts";
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

/** Brings the events of a feed's log to its watchers: to who is live as they come, to who lags on request. */
export class Delivery {
  readonly #range: KeyRange;
  readonly #log: EventLog;
  readonly #members: Membership;
  readonly #onDelivered: (receivers: number) => void;

  /**
   * @param range of the feed
   * @param onDelivered one response went to so many watchers at once; not called for a single one
   */
  constructor(range: KeyRange, log: EventLog, members: Membership, onDelivered: (receivers: number) => void) {
    this.#range = range;
    this.#log = log;
    this.#members = members;
    this.#onDelivered = onDelivered;
  }

  /** Gives a new segment to all live watchers that can take it. The others lag from here on. */
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
      const events = segments.flatMap((segment) => this.#within(group, segment));
      if (events.length > 0) watcher.take(new Batch(events, last.header));
      // What is sent may be too much for the client's connection, and end the stream.
      if (watcher.group !== group) return "gone";
      watcher.position = last.upto;
    }
    return this.#log.after(watcher.position) === undefined ? "through" : "behind";
  }

  #deliver(group: FeedGroup, segment: Segment, events: readonly EventView[]): void {
    const batch = new Batch(events, segment.header);
    let receivers = 0;
    for (const watcher of group.live) {
      if (watcher.stream.canTake) {
        receivers++;
        watcher.take(batch);
      } else {
        if (segment.prev > watcher.position) watcher.position = segment.prev;
        this.#members.fallBehind(watcher, group);
        watcher.stream.fellBehind(watcher);
      }
    }
    if (receivers > 1) this.#onDelivered(receivers);
  }

  #within(group: FeedGroup, { events }: Segment): readonly EventView[] {
    if (isSameRange(group.range, this.#range)) return events;
    return events.filter((event) => hasKey(group.range, event.key));
  }
}
