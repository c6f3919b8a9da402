import type { Backlog } from "@etcd-edge/proto";
import type { Clock, Timer } from "../ports.ts";
import { contains, hasKey } from "../range/key-range.ts";
import type { UpstreamWatch, UpstreamWatchRequest, UpstreamWatchSink } from "../upstream/upstream-watch.ts";
import { unknownGates, type VersionGates } from "../upstream/version-gates.ts";
import type { FabricCounters } from "./fabric-counters.ts";
import { type Frame, readFrame } from "./frame.ts";
import type { Party } from "./interest-table.ts";

/** What a follower needs of its scope. */
export interface FollowerHost {
  readonly clock: Clock;
  readonly counters: FabricCounters;
  /** Frames and signs of life of a feed go to the follower from now on. @returns the way to stop that */
  listen(feed: string, follower: Follower): () => void;
  /** Settles once that is in force; rejects without a connection. */
  flush(): Promise<void>;
  /** Asks an ingester for what it has behind a revision. @returns the way to hear no answer any more */
  askBacklog(
    question: { readonly target: Party; readonly request: UpstreamWatchRequest; readonly after: bigint },
    onAnswer: (backlog: Backlog) => void,
  ): () => void;
  askProgress(target: Party): void;
}

/** A sign of life. */
export interface Sign {
  readonly prev: bigint;
  readonly upto: bigint;
  /** etcd was asked for progress and has answered. */
  readonly isAnswer: boolean;
}

/** A frame that comes before the one in front of it is waited for so long (rule 17). */
const holdMs = 20;
const answerTimeoutMs = 250;
const maxQuestions = 3;
/** More is not kept for a gap to close: the ingester's log has it too. */
const maxHeldBytes = 4 << 20;

/**
 *     joining ──backlog came──▶ live ──gap──▶ holding ──closed by itself──▶ live
 *        ▲                       │               │ 20 ms
 *        └──── connected again ──┘               ▼
 *                                            repairing ──backlog came──▶ live
 *
 *     any of them ── refused, no answer, silence, withheld ──▶ over: etcd is asked (rule 5)
 */
type Phase = "joining" | "live" | "holding" | "repairing" | "over";

/**
 * An upstream watch that another replica has: lives on its frames. What it hands on is whole and in order, as if etcd had
 * said it; whoever said a frame, and how often, makes no difference.
 */
export class Follower implements UpstreamWatch {
  readonly via = "fabric";
  readonly request: UpstreamWatchRequest;
  readonly #host: FollowerHost;
  readonly #sink: UpstreamWatchSink;
  #target: Party;
  #phase: Phase = "joining";
  #coverage: bigint;
  #held: Frame[] = [];
  #timer: Timer | undefined = undefined;
  #questions = 0;
  #hasCreated = false;
  #stopListening: () => void;
  #stopAsking: () => void = () => {};
  /** When something was heard of the feed, from anybody. */
  heardAt: number;

  constructor(host: FollowerHost, target: Party, request: UpstreamWatchRequest, sink: UpstreamWatchSink) {
    this.#host = host;
    this.#target = target;
    this.request = request;
    this.#sink = sink;
    this.#coverage = request.coverage;
    this.heardAt = host.clock.nowMs();
    this.#stopListening = host.listen(target.feed, this);
    this.#join();
  }

  get target(): Party {
    return this.#target;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get member(): string {
    return memberName(this.#target.replica);
  }

  /** Each by itself: a request names its feed. */
  get streamId(): string {
    return `${this.member}/${this.#target.feed}`;
  }

  get gates(): VersionGates {
    return { ...unknownGates, isKnown: true, requestedProgress: this.#target.canProgress };
  }

  requestProgress(): void {
    if (this.#phase !== "over") this.#host.askProgress(this.#target);
  }

  cancel(): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#timer?.stop();
    this.#stopAsking();
    this.#stopListening();
    this.#held = [];
  }

  /** The bus was away: what was said meanwhile is asked for (rule 17). */
  rejoin(): void {
    if (this.#phase === "over") return;
    this.#phase = "joining";
    this.#join();
  }

  /** Another replica has the watch now. */
  retarget(target: Party): void {
    if (this.#phase === "over") return;
    this.#target = target;
    this.rejoin();
  }

  /** Nothing more is to be had here: etcd is to be asked. */
  /** @param needsEtcd whether only etcd has what is missing */
  cede(needsEtcd: boolean): void {
    if (this.#phase === "over") return;
    this.cancel();
    this.#sink.onEnd({ t: "ceded", needsEtcd });
  }

  onFrame(frame: Frame): void {
    if (this.#phase === "over") return;
    this.heardAt = this.#host.clock.nowMs();
    this.#take(frame);
  }

  onSign({ prev, upto, isAnswer }: Sign): void {
    if (this.#phase === "over") return;
    this.heardAt = this.#host.clock.nowMs();
    const { range } = this.#target;
    const header = { clusterId: 0n, memberId: 0n, revision: upto, raftTerm: 0n };
    const prevKvBase = this.request.prevKv ? prev : undefined; // there is nothing it could be left out of
    if (upto > this.#coverage)
      this.#take({ range, prev, upto, events: [], header, prevKvBase, isWithheld: false });
    else if (isAnswer && upto === this.#coverage && this.#phase === "live") this.#sink.onProgress(upto);
  }

  #join(): void {
    this.#host.flush().then(
      () => {
        if (this.#phase === "joining") this.#ask();
      },
      () => {}, // not connected: silence ends it, or it joins again
    );
  }

  #take(frame: Frame): void {
    if (frame.upto <= this.#coverage) {
      this.#host.counters.framesStale++;
    } else if (this.#phase === "joining" || frame.prev > this.#coverage) {
      this.#hold(frame);
    } else {
      this.#apply(frame);
      this.#release();
    }
  }

  #hold(frame: Frame): void {
    if (sizeOf(this.#held) >= maxHeldBytes) this.#held = [];
    this.#held.push(frame);
    if (this.#phase !== "live") return;
    this.#phase = "holding";
    this.#timer?.stop();
    this.#timer = this.#host.clock.setTimer(holdMs, () => {
      if (this.#phase !== "holding") return;
      this.#phase = "repairing";
      this.#ask();
    });
  }

  /** What was held and fits now. */
  #release(): void {
    for (let hasMoved = true; hasMoved && this.#held.length > 0; ) {
      hasMoved = false;
      for (const frame of this.#held) {
        if (this.#isOver || frame.upto <= this.#coverage || frame.prev > this.#coverage) continue;
        this.#apply(frame);
        hasMoved = true;
      }
      this.#held = this.#held.filter(({ upto }) => upto > this.#coverage);
    }
    if (this.#held.length > 0 || this.#phase !== "holding") return;
    this.#phase = "live";
    this.#timer?.stop();
    this.#host.counters.repairsHeld++;
  }

  #apply({ events, upto, header, prevKvBase, isWithheld }: Frame): void {
    const { range, prevKv } = this.request;
    const hasPrevious = prevKvBase !== undefined && prevKvBase <= this.#coverage;
    if (isWithheld || (prevKv && !hasPrevious && events.length > 0)) {
      this.#host.counters.repairsEtcd++;
      this.cede(true);
      return;
    }
    const fresh = events
      .filter(({ modRevision, key }) => modRevision > this.#coverage && hasKey(range, key))
      .map((event) => (prevKv || event.prevKv === undefined ? event : { ...event, prevKv: undefined }));
    this.#coverage = upto;
    if (fresh.length > 0) this.#sink.onEvents(fresh, false, header);
    if (fresh.at(-1)?.modRevision !== upto && !this.#isOver) this.#sink.onProgress(upto);
  }

  /** Read anew each time: what is called in between may end it. */
  get #isOver(): boolean {
    return this.#phase === "over";
  }

  #ask(): void {
    this.#stopAsking();
    this.#questions++;
    const question = { target: this.#target, request: this.request, after: this.#coverage };
    this.#stopAsking = this.#host.askBacklog(question, (backlog) => this.#onBacklog(backlog));
    this.#timer?.stop();
    this.#timer = this.#host.clock.setTimer(answerTimeoutMs, () => {
      if (this.#questions < maxQuestions) this.#ask();
      else this.#giveUp(false);
    });
  }

  #giveUp(needsEtcd: boolean): void {
    if (this.#hasCreated) this.#host.counters.repairsEtcd++;
    this.cede(needsEtcd);
  }

  #onBacklog({ isRefused, frames, hasMore }: Backlog): void {
    if (this.#isOver) return;
    this.heardAt = this.#host.clock.nowMs();
    this.#timer?.stop();
    this.#stopAsking();
    if (isRefused) {
      this.#giveUp(true);
      return;
    }
    this.#questions = 0;
    const wasRepairing = this.#phase === "repairing";
    if (!this.#hasCreated) {
      this.#hasCreated = true;
      this.#sink.onCreated({ clusterId: 0n, memberId: 0n, revision: this.#coverage, raftTerm: 0n });
    }
    for (const message of frames) {
      const frame = readFrame(message);
      if (frame === undefined || !contains(frame.range, this.request.range)) continue;
      if (frame.prev <= this.#coverage && frame.upto > this.#coverage && !this.#isOver) this.#apply(frame);
    }
    if (this.#isOver) return;
    if (hasMore) {
      this.#ask();
      return;
    }
    if (wasRepairing) this.#host.counters.repairsLog++;
    this.#phase = "live";
    this.#release();
    if (this.#isOver) return;
    this.#sink.onProgress(this.#coverage);
    // What is still held lies behind another gap.
    const rest = this.#held;
    this.#held = [];
    for (const frame of rest) if (!this.#isOver) this.#take(frame);
  }
}

/** What a follower of a replica is called where others name a member of the cluster. */
export function memberName(replica: string): string {
  return `fabric:${replica}`;
}

function sizeOf(frames: readonly Frame[]): number {
  let bytes = 0;
  for (const { events } of frames) {
    bytes += 200;
    for (const { plain, prevKv } of events) bytes += 200 + plain.length + (prevKv?.length ?? 0);
  }
  return bytes;
}
