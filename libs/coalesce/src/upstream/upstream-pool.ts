import { type StreamPort, type StreamSink, UpstreamStream } from "./upstream-stream.ts";
import type {
  UpstreamWatch,
  UpstreamWatchRequest,
  UpstreamWatchSink,
  WatchSource,
} from "./upstream-watch.ts";
import { unknownGates } from "./version-gates.ts";

/** Opens Watch calls at the members of a cluster, all with one credential. */
export interface StreamOpener {
  /**
   * Which member the next watch should be on.
   * @param wish a member that is taken only if there is no other, or one that is taken if it is of use
   * @returns nothing where there is nobody to ask
   */
  pick(wish: Pick<UpstreamWatchRequest, "avoid" | "toward">): string | undefined;
  open(member: string, sink: StreamSink): StreamPort;
}

const unavailable = 14;

/**
 * Places watches on streams: one shared stream for each member, and streams of their own for watches that are behind,
 * because one watch that is behind keeps etcd from answering progress requests for all the others (rule 21).
 */
export class UpstreamPool implements WatchSource {
  readonly #opener: StreamOpener;
  readonly #shared = new Map<string, UpstreamStream>();
  #nextId = 0;

  constructor(opener: StreamOpener) {
    this.#opener = opener;
  }

  /** Streams under way that several watches may use. */
  get sharedStreams(): number {
    return this.#shared.size;
  }

  open(request: UpstreamWatchRequest, sink: UpstreamWatchSink): UpstreamWatch {
    const member = this.#opener.pick(request);
    if (member === undefined) return new Nowhere(sink);
    return this.#streamFor(member, request.isAlone).open(request, sink);
  }

  #streamFor(member: string, isAlone: boolean): UpstreamStream {
    const known = this.#shared.get(member);
    if (!isAlone && known !== undefined && !known.isOver) return known;
    const open = (sink: StreamSink): StreamPort => this.#opener.open(member, sink);
    const id = String(this.#nextId++);
    if (isAlone) return new UpstreamStream(id, open, (stream) => stream.close());
    const stream = new UpstreamStream(id, open, () => {
      stream.close();
      if (this.#shared.get(member) === stream) this.#shared.delete(member);
    });
    this.#shared.set(member, stream);
    return stream;
  }
}

/** A watch that found no member: it is lost as soon as its opener has it in hand. */
class Nowhere implements UpstreamWatch {
  readonly via = "etcd";
  readonly member = "";
  readonly gates = unknownGates;
  readonly streamId = "";
  #sink: UpstreamWatchSink | undefined;

  constructor(sink: UpstreamWatchSink) {
    this.#sink = sink;
    void Promise.resolve().then(() => {
      this.#sink?.onEnd({ t: "lost", code: unavailable, message: "no etcd endpoint is available" });
    });
  }

  requestProgress(): void {}

  cancel(): void {
    this.#sink = undefined;
  }
}
