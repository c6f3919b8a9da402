import {
  create,
  type MessageInitShape,
  readWatchResponse,
  toBinary,
  WatchRequestSchema,
  type WatchResponseView,
} from "@etcd-edge/proto";
import { toRangeFields } from "../range/key-range.ts";
import type {
  UpstreamEnd,
  UpstreamWatch,
  UpstreamWatchRequest,
  UpstreamWatchSink,
} from "./upstream-watch.ts";
import { unknownGates, type VersionGates } from "./version-gates.ts";

/** One Watch call at one member. Whoever makes it sends `hasleader`, and never holds back what comes (rule 4). */
export interface StreamPort {
  readonly member: string;
  send(request: Uint8Array): void;
  cancel(): void;
  /** Whether the cluster at the other end is the one that is followed (rule 32). */
  acceptsCluster(clusterId: bigint): boolean;
  /** What may be trusted of the etcd at the other end of the same connection. Never rejects. */
  askGates(): Promise<VersionGates>;
}

/** Takes what such a call says. `onEnd` is never called from inside `open`. */
export interface StreamSink {
  onMessage(payload: Uint8Array): void;
  onEnd(code: number, message: string): void;
}

const internalError = 13;
const unavailable = 14;

/**
 * Many watches on one Watch call. etcd chooses the ids, which are unique for the life of a stream (rule 11), and answers
 * creates in the order in which they were sent.
 */
export class UpstreamStream {
  /** Unique among streams. */
  readonly id: string;
  readonly #port: StreamPort;
  readonly #onIdle: (stream: UpstreamStream) => void;
  /** Watches whose created has not come, in order. */
  readonly #creating: StreamWatch[] = [];
  readonly #byId = new Map<bigint, StreamWatch>();
  #gates: VersionGates = unknownGates;
  #isOver = false;

  /** @param onIdle called when the last watch is gone; the stream is to be closed or used again */
  constructor(id: string, open: (sink: StreamSink) => StreamPort, onIdle: (stream: UpstreamStream) => void) {
    this.id = id;
    this.#onIdle = onIdle;
    this.#port = open({
      onMessage: (payload) => this.#onMessage(payload),
      onEnd: (code, message) => this.#end({ t: "lost", code, message }),
    });
    void this.#port.askGates().then((gates) => {
      this.#gates = gates;
    });
  }

  get member(): string {
    return this.#port.member;
  }

  get gates(): VersionGates {
    return this.#gates;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  open(request: UpstreamWatchRequest, sink: UpstreamWatchSink): UpstreamWatch {
    const watch = new StreamWatch(this, sink);
    this.#creating.push(watch);
    const { key, rangeEnd } = toRangeFields(request.range);
    const { startRevision, prevKv } = request;
    const value = { key, rangeEnd, startRevision, prevKv, progressNotify: true, fragment: true };
    this.#send({ case: "createRequest", value });
    return watch;
  }

  requestProgress(): void {
    if (this.#gates.requestedProgress) this.#send({ case: "progressRequest", value: {} });
  }

  /** Ends the call. Its watches, if there are any, are told nothing. */
  close(): void {
    this.#isOver = true;
    this.#creating.length = 0;
    this.#byId.clear();
    this.#port.cancel();
  }

  /** Called by a watch that was given up. Without an id yet, etcd is told as soon as it has one. */
  cancel(watch: StreamWatch): void {
    if (watch.id !== undefined) this.#forget(watch, watch.id);
    this.#checkIdle();
  }

  #checkIdle(): void {
    const isUsed = this.#byId.size > 0 || this.#creating.some(({ sink }) => sink !== undefined);
    if (!isUsed && !this.#isOver) this.#onIdle(this);
  }

  #forget(watch: StreamWatch, id: bigint): void {
    // From here on its id is unknown, and what still comes for it is dropped (rule 11).
    if (this.#byId.delete(id)) this.#send({ case: "cancelRequest", value: { watchId: id } });
    watch.id = undefined;
  }

  #send(requestUnion: NonNullable<MessageInitShape<typeof WatchRequestSchema>["requestUnion"]>): void {
    if (!this.#isOver)
      this.#port.send(toBinary(WatchRequestSchema, create(WatchRequestSchema, { requestUnion })));
  }

  #onMessage(payload: Uint8Array): void {
    if (this.#isOver) return;
    let view: WatchResponseView;
    try {
      // A copy: events are kept, and a view would keep the whole chunk that was read.
      view = readWatchResponse(new Uint8Array(payload));
    } catch (error) {
      this.#port.cancel();
      const message = error instanceof Error ? error.message : String(error);
      this.#end({ t: "lost", code: internalError, message });
      return;
    }
    if (view.isCreated) this.#onCreated(view);
    else if (view.watchId === -1n) this.#onStreamProgress(view);
    else this.#byId.get(view.watchId)?.take(view);
  }

  #onCreated(view: WatchResponseView): void {
    if (!this.#port.acceptsCluster(view.header.clusterId)) {
      this.#port.cancel();
      this.#end({ t: "lost", code: unavailable, message: "the endpoint belongs to another cluster" });
      return;
    }
    const watch = this.#creating.shift();
    if (watch === undefined) return;
    if (view.isCanceled) {
      watch.end(endOf(view));
      this.#checkIdle();
      return;
    }
    watch.id = view.watchId;
    this.#byId.set(view.watchId, watch);
    if (watch.sink === undefined) this.#forget(watch, view.watchId);
    else watch.sink.onCreated(view.header);
  }

  /** Speaks for the watches whose created came before it, and for no other (rule 2). */
  #onStreamProgress({ header, isCanceled }: WatchResponseView): void {
    if (isCanceled || !this.#gates.requestedProgress) return;
    // etcd's own grpc-proxy leaves these out, and nothing it says of progress is coverage (rule 4).
    if (header.clusterId === 0n || header.memberId === 0n) return;
    for (const watch of [...this.#byId.values()]) watch.sink?.onProgress(header.revision);
  }

  #end(end: UpstreamEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const watches = [...this.#creating, ...this.#byId.values()];
    this.#creating.length = 0;
    this.#byId.clear();
    for (const watch of watches) watch.end(end);
  }

  /** etcd has cancelled a watch. */
  drop(id: bigint): void {
    this.#byId.delete(id);
    this.#checkIdle();
  }
}

function endOf(view: WatchResponseView): UpstreamEnd {
  return view.compactRevision > 0n
    ? { t: "compacted", compactRevision: view.compactRevision }
    : { t: "refused", reason: view.cancelReason };
}

/** One watch on such a stream. Without a sink it is cancelled. */
class StreamWatch implements UpstreamWatch {
  readonly via = "etcd";
  readonly #stream: UpstreamStream;
  sink: UpstreamWatchSink | undefined;
  /** Once etcd has chosen it. */
  id: bigint | undefined = undefined;

  constructor(stream: UpstreamStream, sink: UpstreamWatchSink) {
    this.#stream = stream;
    this.sink = sink;
  }

  get member(): string {
    return this.#stream.member;
  }

  get gates(): VersionGates {
    return this.#stream.gates;
  }

  get streamId(): string {
    return this.#stream.id;
  }

  requestProgress(): void {
    this.#stream.requestProgress();
  }

  cancel(): void {
    if (this.sink === undefined) return;
    this.sink = undefined;
    this.#stream.cancel(this);
  }

  /** Takes a response that is for this watch and not its created. */
  take(view: WatchResponseView): void {
    if (view.isCanceled) {
      const { id } = this;
      this.end(endOf(view));
      if (id !== undefined) this.#stream.drop(id);
    } else if (view.events.length > 0) {
      this.sink?.onEvents(view.events, view.isFragment, view.header);
    } else if (!view.isFragment) {
      // Periodic progress comes through the channel of the events: every version may be trusted with it (rule 4).
      if (view.header.clusterId !== 0n && view.header.memberId !== 0n)
        this.sink?.onProgress(view.header.revision);
    }
  }

  end(end: UpstreamEnd): void {
    const { sink } = this;
    this.sink = undefined;
    sink?.onEnd(end);
  }
}
