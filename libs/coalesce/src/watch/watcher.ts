import type { EventView } from "@etcd-edge/proto";
import type { KeyRange } from "../range/key-range.ts";
import { Batch, type EncodedBatch, Variant } from "./batch.ts";
import type { FanPort, SessionPort } from "./fan.ts";
import type { FeedGroup } from "./feed-group.ts";
import type { Lane } from "./lane.ts";
import type { WatchHub } from "./watch-hub.ts";

/** Where the events of watchers go: a client's stream. */
export interface WatcherStream {
  /** Whether it takes more now. */
  readonly canTake: boolean;
  readonly port: SessionPort;
  /** The connection, if what streams have in common can be sent by it. */
  readonly fans: FanPort | undefined;
  /** So many events have gone out to streams like this one. */
  countEvents(count: number): void;
  /** One of its watchers has been shown no event above this revision, and none above it by the stream's own `deliver`. */
  wasShown(revision: bigint): void;
  /** Sends events to one of its watchers. */
  deliver(watcher: Watcher, batch: EncodedBatch): void;
  /** A watcher has something to deliver that the stream could not take, or hangs on no feed: its turn comes by `pump`. */
  fellBehind(watcher: Watcher): void;
  /** Ends the client's call with a status of gRPC's. Twice is fine. */
  end(code: number, message: string): void;
  /** The next revision of one of its watchers is compacted: the watcher is over. */
  cancelCompacted(watcher: Watcher, compactRevision: bigint): void;
  /** etcd gives one of its watchers no more events, and says why: the watcher is over. */
  cancelRefused(watcher: Watcher, reason: string): void;
}

/** What a client asked for, with the defaults filled in. */
export interface WatchOptions {
  readonly range: KeyRange;
  /** Bits of `Variant`. */
  readonly variant: number;
  readonly progressNotify: boolean;
  readonly fragment: boolean;
}

/**
 * One watch of one client: a cursor, of the same size however far behind it is.
 *
 *     detached ──attach──▶ lagging ──caught up──▶ live, or in a lane
 *         ▲                 ▲  │                   │
 *         │  fell off the log  │   stream is full  │
 *         └─────────────────┴──┴───────────────────┘
 *
 * Detached: in no group. Live: in its group's `live`, everything up to the feed's head is delivered. In a lane: goes on
 * with others of its connection, and is as far as they are. Lagging: in its group's `lagging`, delivered up to `position`.
 */
export class Watcher implements WatchOptions {
  readonly stream: WatcherStream;
  /** As the client knows it, unique in its stream. */
  readonly id: bigint;
  /** Of those that hang on the same group the same object. */
  range: KeyRange;
  readonly variant: number;
  readonly progressNotify: boolean;
  readonly fragment: boolean;
  /**
   * Every event up to here is delivered, or is below the start that was asked for. Of a live watcher its feed's head may
   * be ahead of it: see `reached`.
   */
  position: bigint;
  group: FeedGroup | undefined = undefined;
  /** Whose feeds it hangs on, or will. */
  hub: WatchHub;
  lane: Lane | undefined = undefined;
  /** Its place there; the lane's own business, as is the next. */
  laneIndex = 0;
  /** How many batches had gone out in the lane when somebody last looked. */
  seenBatches = 0;
  /** Whether it gets nothing for now, because it is not known whether it may. */
  isPaused = false;
  /** Whether it got events by itself since the last look of the progress timer. */
  isFresh = false;

  constructor(stream: WatcherStream, hub: WatchHub, id: bigint, position: bigint, options: WatchOptions) {
    this.stream = stream;
    this.hub = hub;
    this.id = id;
    this.position = position;
    this.range = options.range;
    this.variant = options.variant;
    this.progressNotify = options.progressNotify;
    this.fragment = options.fragment;
  }

  get wantsPrevKv(): boolean {
    return (this.variant & Variant.prevKv) !== 0;
  }

  /** Whether it has everything up to the feed's head. */
  get isLive(): boolean {
    return this.lane === undefined ? this.group?.live.has(this) === true : this.lane.isResting;
  }

  /** Whether it got events since this was last asked. */
  takeFreshness(): boolean {
    const batches = this.lane?.batches ?? this.seenBatches;
    const isFresh = this.isFresh || batches !== this.seenBatches;
    this.isFresh = false;
    this.seenBatches = batches;
    return isFresh;
  }

  /** How far everything of its range is delivered. */
  get reached(): bigint {
    const { group, lane } = this;
    if (lane !== undefined) return later(lane.reached(this), this.position);
    if (group === undefined || !group.live.has(this)) return this.position;
    return later(group.feed.log.head, this.position);
  }

  /** Delivers what the batch has above the position. */
  take(batch: Batch): void {
    const first = batch.events[0];
    if (first === undefined) return;
    const isWhole = first.modRevision > this.position;
    const encoded = (isWhole ? batch : this.#rest(batch)).encode(this.variant);
    if (encoded === undefined) return;
    this.isFresh = true;
    this.stream.deliver(this, encoded);
  }

  #rest({ events, header }: Batch): Batch {
    const isAbove = (event: EventView): boolean => event.modRevision > this.position;
    return new Batch(events.filter(isAbove), header);
  }
}

/** `Math.max` does not take bigints. */
function later(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}
