import { encodeWatchHead } from "@etcd-edge/proto";
import type { Batch, EncodedBatch } from "./batch.ts";
import type { Fan } from "./fan.ts";
import type { FeedGroup } from "./feed-group.ts";
import type { Watcher } from "./watcher.ts";

/** What a lane needs of the one who delivers. */
export interface LanePort {
  /** How far the feed is. */
  readonly head: bigint;
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** The next batch of the group's events above a position: nothing where there is none, or the log has lost it. */
  next(
    group: FeedGroup,
    position: bigint,
  ): { readonly batch: Batch; readonly upto: bigint } | "none" | "lost";
  /** All its watchers have all there is. */
  onRested(lane: Lane): void;
  /** A watcher has left the lane, at its position: its stream takes nothing now, or the log has lost what it needs. */
  onLeft(watcher: Watcher): void;
  /** One response went to so many watchers. */
  onDelivered(batch: Batch, receivers: number): void;
}

/** A batch on its way: watchers before `next` have it. */
interface Sending {
  readonly batch: Batch;
  readonly encoded: EncodedBatch;
  readonly head: Uint8Array;
  readonly upto: bigint;
  next: number;
}

/**
 *     resting ──events──▶ waiting ──turn of the connection──▶ sending ──all have it──▶ resting, or waiting for the next
 *                            └── the log has lost it ──▶ (empty: each watcher is on its own)
 *
 * Resting: all its watchers have everything up to the feed's head. Else up to `position`, or the end of what is being sent.
 */
type LaneState =
  | { readonly t: "resting" }
  | { readonly t: "waiting"; readonly position: bigint }
  | { readonly t: "sending"; readonly position: bigint; readonly sending: Sending };

/**
 * Watchers of one range, variant and id, on streams of one connection: they get the same bytes, so one cursor does for
 * all of them, however many they are and however slow the connection is. Events that come while it waits for its turn
 * travel together.
 */
export class Lane {
  readonly group: FeedGroup;
  readonly key: string;
  readonly #port: LanePort;
  readonly #fan: Fan;
  readonly #watchers: Watcher[] = [];
  #state: LaneState = resting;
  /** The revision of the last event that was sent. */
  #shown = 0n;
  /** Batches sent so far. */
  #batches = 0;
  /** When it was woken, or anything went out. */
  #movedAt = 0;

  constructor(group: FeedGroup, key: string, first: Watcher, port: LanePort) {
    const { fans } = first.stream;
    if (fans === undefined) throw new TypeError("a lane needs a connection");
    this.group = group;
    this.key = key;
    this.#port = port;
    this.#fan = fans.openFan(() => this.#onTurn());
  }

  get watchers(): readonly Watcher[] {
    return this.#watchers;
  }

  get size(): number {
    return this.#watchers.length;
  }

  get isResting(): boolean {
    return this.#state.t === "resting";
  }

  /** Since when its connection has taken nothing though there is something for it; nothing while it rests. */
  get stuckSince(): number | undefined {
    return this.isResting ? undefined : this.#movedAt;
  }

  /** How far every one of its watchers has everything. */
  get position(): bigint {
    return this.#state.t === "resting" ? this.#port.head : this.#state.position;
  }

  /** How far one of its watchers has everything. */
  reached(watcher: Watcher): bigint {
    const state = this.#state;
    return state.t === "sending" && watcher.laneIndex < state.sending.next
      ? state.sending.upto
      : this.position;
  }

  /** A revision that no event shown to the watcher is above. */
  shown(watcher: Watcher): bigint {
    const state = this.#state;
    return state.t === "sending" && watcher.laneIndex < state.sending.next
      ? state.sending.encoded.revision
      : this.#shown;
  }

  /** Counts what went out: unequal to an earlier answer if there was something in between. */
  get batches(): number {
    return this.#batches;
  }

  /** Takes a watcher that has all there is. Only while the lane rests. */
  add(watcher: Watcher): void {
    watcher.lane = this;
    watcher.laneIndex = this.#watchers.length;
    watcher.seenBatches = this.#batches;
    this.#watchers.push(watcher);
    this.#fan.add(watcher.stream.port);
  }

  /** Lets a watcher go, with its position brought up to date. */
  remove(watcher: Watcher): void {
    watcher.position = later(this.reached(watcher), watcher.position);
    watcher.stream.wasShown(this.shown(watcher));
    if (this.#batches !== watcher.seenBatches) watcher.isFresh = true;
    const state = this.#state;
    let hole = watcher.laneIndex;
    if (state.t === "sending" && hole < state.sending.next) {
      // Those who have the batch stay before those who have not.
      state.sending.next--;
      this.#swap(hole, state.sending.next);
      hole = state.sending.next;
    }
    this.#swap(hole, this.#watchers.length - 1);
    this.#watchers.pop();
    this.#fan.pop();
    watcher.lane = undefined;
  }

  /** There are events above `position`, up to which all have everything, if the lane rests. */
  wake(position: bigint): void {
    if (this.#state.t !== "resting" || this.#watchers.length === 0) return;
    this.#state = { t: "waiting", position };
    this.#movedAt = this.#port.nowMs();
    this.#fan.wake();
  }

  #swap(a: number, b: number): void {
    const watchers = this.#watchers;
    const [first, second] = [watchers[a], watchers[b]];
    if (a === b || first === undefined || second === undefined) return;
    watchers[a] = second;
    second.laneIndex = a;
    watchers[b] = first;
    first.laneIndex = b;
    this.#fan.swap(a, b);
  }

  #onTurn(): void {
    if (this.#state.t === "waiting") this.#begin(this.#state.position);
    if (this.#state.t === "sending") this.#send(this.#state.sending);
  }

  /** Takes up the next batch that leaves something after the filters. */
  #begin(from: bigint): void {
    for (let position = from; ; ) {
      const next = this.#watchers.length === 0 ? "none" : this.#port.next(this.group, position);
      if (next === "lost") {
        this.#state = { t: "waiting", position };
        const watchers = [...this.#watchers];
        for (const watcher of watchers) this.remove(watcher);
        this.#state = resting;
        this.#port.onRested(this);
        this.#letGo(watchers);
        return;
      }
      if (next === "none") {
        this.#state = resting;
        this.#port.onRested(this);
        return;
      }
      const { batch, upto } = next;
      const [first] = this.#watchers;
      const encoded = batch.encode(first?.variant ?? 0);
      if (encoded !== undefined) {
        const head = encodeWatchHead(encoded.header, first?.id ?? 0n, false);
        this.#state = { t: "sending", position, sending: { batch, encoded, head, upto, next: 0 } };
        return;
      }
      position = upto;
    }
  }

  #send(sending: Sending): void {
    const { encoded, head } = sending;
    const blocked: number[] = [];
    const from = sending.next;
    sending.next = this.#fan.send(head, encoded.body, from, blocked);
    const receivers = sending.next - from - blocked.length;
    if (receivers > 0) {
      this.#movedAt = this.#port.nowMs();
      this.#batches++;
      this.#watchers[0]?.stream.countEvents(encoded.events.length * receivers);
      this.#port.onDelivered(sending.batch, receivers);
    }
    if (blocked.length > 0) this.#dismiss(blocked);
    if (this.#state.t !== "sending" || this.#state.sending !== sending) return;
    if (sending.next < this.#watchers.length) {
      this.#fan.wake();
      return;
    }
    this.#shown = encoded.revision;
    this.#begin(sending.upto);
    // What has come meanwhile waits for another turn: others have theirs first.
    if (!this.isResting) this.#fan.wake();
  }

  /** Streams that took nothing go on by themselves. They are found before any of them is told, for places change. */
  #dismiss(blocked: readonly number[]): void {
    const { position } = this;
    const watchers = blocked.flatMap((index) => this.#watchers[index] ?? []);
    for (const watcher of watchers) {
      const before = watcher.position;
      this.remove(watcher);
      // It was passed over: it has what everybody had before this batch.
      watcher.position = later(before, position);
    }
    this.#letGo(watchers);
  }

  #letGo(watchers: readonly Watcher[]): void {
    // One of them may end its stream, and with it others.
    for (const watcher of watchers) if (watcher.group === this.group) this.#port.onLeft(watcher);
  }
}

const resting: LaneState = { t: "resting" };

function later(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}
