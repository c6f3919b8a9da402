import {
  encodeWatchHead,
  fromBinary,
  type HeaderView,
  type WatchCreateRequest,
  WatchRequestSchema,
} from "@etcd-edge/proto";
import type { Clock } from "../ports.ts";
import { type EncodedBatch, Variant } from "./batch.ts";
import type { FanPort, SessionPort } from "./fan.ts";
import { encodeFragments } from "./fragments.ts";
import { ProgressQuestion, revisionOfAll } from "./progress-question.ts";
import { RequestLine, type WatchAsk } from "./request-line.ts";
import type { TimeLimit } from "./time-limit.ts";
import { type CreateOutcome, decideCreate, releaseOutcome } from "./watch-create.ts";
import type { WatchDesk } from "./watch-desk.ts";
import type { WatchHub } from "./watch-hub.ts";
import { findLimit, type WatchCount, type WatchLimits } from "./watch-limits.ts";
import {
  canceledMessage,
  compactedMessage,
  createdMessage,
  progressMessage,
  refusedMessage,
} from "./watch-messages.ts";
import { Watcher, type WatcherStream } from "./watcher.ts";
import { WatcherTable } from "./watcher-table.ts";

/** What all sessions of a scope have in common. */
export interface SessionContext {
  readonly desk: WatchDesk;
  readonly clock: Clock;
  readonly limits: WatchLimits;
  /** Watches of the process. */
  readonly total: WatchCount;
  /** How long a create may take (rule 25). */
  readonly createLimit: TimeLimit;
  /** Responses of watches that asked for fragments are cut at this size. */
  readonly fragmentBytes: number;
  /** Whether a start below 0 is answered as compacted: what the etcd behind does (gate `refusesNegativeStart`). */
  readonly refusesNegativeStart: () => boolean;
  readonly counters: SessionCounters;
}

/** Counts since the start, of all sessions. */
export interface SessionCounters {
  eventsOut: number;
  createsRefused: number;
}

const noBytes = new Uint8Array(0);
const duplicateId = "mvcc: duplicate watch ID provided on the WatchStream";

/** One Watch call of a client: many watches, each with an id of this stream. */
export class WatchSession implements WatcherStream {
  readonly #context: SessionContext;
  readonly #port: SessionPort;
  readonly #connection: WatchCount;
  readonly #watchers = new WatcherTable();
  /** Made when somebody falls behind: few ever do, and there may be very many sessions. So with requests. */
  #lagging: Set<Watcher> | undefined = undefined;
  #requests: RequestLine | undefined = undefined;
  #canTake = true;
  #isPumping = false;
  #isOver = false;
  #nextId = 0n;
  /** The highest revision in a header that was sent: none is lower after it (rule 31). */
  #floor = 0n;
  /** Whose header the client is shown where no feed has one. */
  #lastHeader: HeaderView = { clusterId: 0n, memberId: 0n, revision: 0n, raftTerm: 0n };
  /** A request for progress that waits for its answer. */
  #asked: ProgressQuestion | undefined = undefined;
  /** Since when the client has not read what there is for it. */
  #fullSince: number | undefined = undefined;

  constructor(context: SessionContext, port: SessionPort, connection: WatchCount) {
    this.#context = context;
    this.#port = port;
    this.#connection = connection;
  }

  get canTake(): boolean {
    return this.#canTake;
  }

  get port(): SessionPort {
    return this.#port;
  }

  get fans(): FanPort | undefined {
    return this.#port.fans;
  }

  /** Monotonic time at which the client stopped reading, or nothing while it reads. */
  get fullSince(): number | undefined {
    return this.#fullSince;
  }

  get watchers(): Iterable<Watcher> {
    return this.#watchers.values();
  }

  /** Whether some of its watches have not got all there is. */
  get isParked(): boolean {
    return this.#lagging !== undefined && this.#lagging.size > 0;
  }

  /**
   * Takes a message of the client.
   * @throws where the bytes are no WatchRequest
   */
  onMessage(payload: Uint8Array): void {
    const { requestUnion } = fromBinary(WatchRequestSchema, payload);
    switch (requestUnion.case) {
      case "createRequest":
        this.#create(requestUnion.value);
        return;
      case "cancelRequest":
        this.#ask({ t: "cancel", watchId: requestUnion.value.watchId });
        return;
      case "progressRequest":
        this.#ask({ t: "progress" });
        return;
      case undefined:
        return; // etcd ignores it, for the sake of clients newer than itself
      default:
        requestUnion satisfies never;
    }
  }

  /** The client takes more. */
  onDrain(): void {
    this.#canTake = true;
    this.#fullSince = undefined;
    this.#pump();
  }

  /** The call is over. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopAsking();
    this.#requests?.close();
    this.#requests = undefined;
    for (const watcher of [...this.#watchers.values()]) this.#forget(watcher);
  }

  /** Ends the call from this side. */
  end(code: number, message: string): void {
    if (this.#isOver) return;
    this.close();
    this.#port.end(code, message);
  }

  /** Tells watches that asked for it how far they are: at their interval, or before the process stops. */
  notifyProgress(isDue: (watcher: Watcher) => boolean): void {
    this.#raiseFloor();
    for (const watcher of this.#watchers.values()) {
      if (!watcher.progressNotify || !isDue(watcher)) continue;
      const { reached } = watcher;
      const isSynced = watcher.isLive && (watcher.group?.feed.log.head ?? 0n) >= watcher.position;
      if (isSynced && reached >= this.#floor)
        this.#sendControl(progressMessage(this.#header(reached), watcher.id));
    }
  }

  // ---- of its watchers ----

  deliver(watcher: Watcher, batch: EncodedBatch): void {
    const { fragmentBytes, counters } = this.#context;
    if (batch.revision > this.#floor) this.#floor = batch.revision;
    counters.eventsOut += batch.events.length;
    if (watcher.fragment && batch.body.length >= fragmentBytes && batch.events.length > 1) {
      const header = { ...this.#lastHeader, revision: batch.revision };
      for (const { body, isFragment } of encodeFragments(
        batch.events,
        header,
        watcher.variant,
        fragmentBytes,
      )) {
        this.#send(encodeWatchHead(batch.header, watcher.id, isFragment), body);
      }
    } else {
      this.#send(encodeWatchHead(batch.header, watcher.id, false), batch.body);
    }
  }

  countEvents(count: number): void {
    this.#context.counters.eventsOut += count;
  }

  wasShown(revision: bigint): void {
    if (revision > this.#floor) this.#floor = revision;
  }

  fellBehind(watcher: Watcher): void {
    this.#lagging ??= new Set();
    this.#lagging.add(watcher);
    if (this.#canTake) this.#pump();
  }

  /** The watcher's next revision is compacted. */
  cancelCompacted(watcher: Watcher, compactRevision: bigint): void {
    this.#forget(watcher);
    this.#sendControl(compactedMessage(this.#lastHeader, watcher.id, compactRevision));
  }

  /** etcd gives no more events to this watcher, and says why. */
  cancelRefused(watcher: Watcher, reason: string): void {
    const { own } = this.#context.desk;
    if (watcher.hub !== own) {
      // It was our identity that was refused, not the client.
      this.#moveTo(own, watcher);
      return;
    }
    this.#endRefused(watcher, reason);
  }

  /** The client may not read what it watches any more. */
  revoke(watcher: Watcher, reason: string): void {
    if (this.#watchers.get(watcher.id) === watcher) this.#endRefused(watcher, reason);
  }

  /** Nothing is delivered to it until `unpause`; its place is kept. */
  pause(watcher: Watcher): void {
    this.#lagging?.delete(watcher);
    watcher.hub.detach(watcher);
    watcher.isPaused = true;
  }

  unpause(watcher: Watcher): void {
    if (!watcher.isPaused) return;
    watcher.isPaused = false;
    this.#seat(watcher);
  }

  #moveTo(hub: WatchHub, watcher: Watcher): void {
    watcher.hub.detach(watcher);
    watcher.hub = hub;
    if (!watcher.isPaused) this.#seat(watcher);
  }

  #seat(watcher: Watcher): void {
    if (this.#canTake) watcher.hub.attach(watcher);
    else this.fellBehind(watcher);
  }

  #endRefused(watcher: Watcher, reason: string): void {
    this.#forget(watcher);
    this.#sendControl(canceledMessage(this.#header(this.#floor), watcher.id, reason));
  }

  // ---- requests ----

  #create(request: WatchCreateRequest): void {
    const reason = findLimit(this.#context.limits, {
      stream: this.#watchers.size,
      pending: this.#requests?.length ?? 0,
      connection: this.#connection.watches,
      total: this.#context.total.watches,
    });
    if (reason === undefined) {
      this.#line().pushCreate(request);
    } else {
      this.#context.counters.createsRefused++;
      const header = this.#header(this.#floor);
      this.#ask({ t: "create", request, outcome: { t: "refused", header, reason } });
    }
    this.#tidyLine();
  }

  #ask(ask: WatchAsk): void {
    this.#line().push(ask);
    this.#tidyLine();
  }

  #line(): RequestLine {
    this.#requests ??= new RequestLine({
      createLimit: this.#context.createLimit,
      decide: (request, isGone) => decideCreate(this.#context, request, isGone),
      header: () => this.#header(this.#floor),
      answer: (ask) => {
        this.#answer(ask);
        this.#tidyLine();
      },
    });
    return this.#requests;
  }

  /** There may be very many streams, and few of them ask for anything now. */
  #tidyLine(): void {
    if (this.#requests?.length === 0) this.#requests = undefined;
  }

  #answer(ask: WatchAsk): void {
    switch (ask.t) {
      case "create":
        this.#grant(ask.request, ask.outcome);
        return;
      case "cancel":
        this.#cancel(ask.watchId);
        return;
      case "progress":
        this.#askProgress();
        return;
      default:
        ask satisfies never;
    }
  }

  #grant(request: WatchCreateRequest, outcome: CreateOutcome): void {
    if (outcome.header !== undefined && outcome.header.clusterId !== 0n) this.#lastHeader = outcome.header;
    const header = this.#header(outcome.header?.revision ?? 0n);
    if (outcome.t === "refused") {
      this.#sendControl(refusedMessage(header, outcome.reason));
    } else {
      const id = this.#idFor(request.watchId);
      if (id === undefined) this.#sendControl(refusedMessage(header, duplicateId));
      else this.#watch(id, request, outcome, header);
    }
    releaseOutcome(outcome);
  }

  #watch(
    id: bigint,
    request: WatchCreateRequest,
    { hub, range, position }: CreateOutcome & { t: "granted" },
    header: HeaderView,
  ): void {
    const { progressNotify, fragment } = request;
    const options = { range, variant: variantOf(request), progressNotify, fragment };
    const watcher = new Watcher(this, hub, id, position ?? header.revision, options);
    this.#watchers.add(watcher);
    this.#connection.watches++;
    this.#context.total.watches++;
    this.#sendControl(createdMessage(header, id));
    hub.attach(watcher);
  }

  /** Ids that clients choose are theirs; 0 asks for the next free one. */
  #idFor(wanted: bigint): bigint | undefined {
    if (wanted !== 0n) return this.#watchers.get(wanted) === undefined ? wanted : undefined;
    while (this.#watchers.get(this.#nextId) !== undefined) this.#nextId++;
    return this.#nextId++;
  }

  #cancel(watchId: bigint): void {
    const watcher = this.#watchers.get(watchId);
    if (watcher === undefined) return; // etcd says nothing either
    const { known } = watcher.hub.history;
    this.#forget(watcher);
    this.#sendControl(canceledMessage(this.#header(known), watchId));
  }

  #forget(watcher: Watcher): void {
    if (!this.#watchers.delete(watcher.id)) return;
    this.#lagging?.delete(watcher);
    this.#connection.watches--;
    this.#context.total.watches--;
    watcher.hub.detach(watcher);
  }

  // ---- progress ----

  /** As etcd: no answer for a stream without watches. One answer serves all who ask before it. */
  #askProgress(): void {
    if (this.#asked !== undefined || this.#watchers.size === 0) return;
    this.#asked = new ProgressQuestion(this.#context.clock, [...this.#watchers.values()], (isLast) => {
      this.#raiseFloor();
      const revision = revisionOfAll(this.#watchers.values(), this.#floor);
      if (revision !== undefined) this.#sendControl(progressMessage(this.#header(revision)));
      if (revision !== undefined || isLast) this.#stopAsking();
    });
    this.#asked.ask();
  }

  #stopAsking(): void {
    this.#asked?.close();
    this.#asked = undefined;
  }

  // ---- sending ----

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    // One segment each in turn, so that one long way behind does not keep the others waiting.
    while (this.#canTake && this.isParked) {
      for (const watcher of [...(this.#lagging ?? [])]) {
        if (!this.#canTake) break;
        this.#serve(watcher);
      }
    }
    this.#isPumping = false;
    if (!this.isParked) this.#lagging = undefined;
  }

  #serve(watcher: Watcher): void {
    this.#lagging?.delete(watcher);
    if (this.#watchers.get(watcher.id) !== watcher) return;
    if (watcher.group === undefined) watcher.hub.attach(watcher);
    else if (watcher.group.feed.pump(watcher)) this.#lagging?.add(watcher);
  }

  #sendControl(message: Uint8Array): void {
    this.#send(message, noBytes);
  }

  #send(head: Uint8Array, body: Uint8Array): void {
    if (this.#isOver || this.#port.send(head, body)) return;
    this.#canTake = false;
    this.#fullSince ??= this.#context.clock.nowMs();
  }

  /** What went out by lanes counts too. Not written down there, stream by stream, with every message. */
  #raiseFloor(): void {
    // Nothing can have gone out that no hub knows.
    if (this.#floor >= this.#context.desk.known) return;
    for (const watcher of this.#watchers.values()) {
      if (watcher.lane !== undefined) this.wasShown(watcher.lane.shown(watcher));
    }
  }

  #header(revision: bigint): HeaderView {
    this.#raiseFloor();
    if (revision > this.#floor) this.#floor = revision;
    return { ...this.#lastHeader, revision: this.#floor };
  }
}

function variantOf(request: WatchCreateRequest): number {
  let variant = request.prevKv ? Variant.prevKv : 0;
  for (const filter of request.filters)
    variant |= filter === 0 ? Variant.noPut : filter === 1 ? Variant.noDelete : 0;
  return variant;
}
