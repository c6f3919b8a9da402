import type { EventView, HeaderView } from "@etcd-edge/proto";
import { type Advance, Intake } from "../upstream/intake.ts";
import type {
  UpstreamEnd,
  UpstreamWatch,
  UpstreamWatchRequest,
  UpstreamWatchSink,
  WatchSource,
} from "../upstream/upstream-watch.ts";

/** The value a key had: the message `mvccpb.KeyValue`, or nothing where etcd has compacted it. */
export type FetchPrevious = (key: Uint8Array, revision: bigint) => Promise<Uint8Array | undefined>;

/** Told of what one upstream watch of a feed brings. */
export interface FeedUpstreamListener {
  onCreated(upstream: FeedUpstream): void;
  onAdvance(upstream: FeedUpstream, advance: Advance, header: HeaderView): void;
  /** A progress answer came, whether or not it said anything new. After its `onAdvance`. */
  onProgressed(upstream: FeedUpstream): void;
  onEnd(upstream: FeedUpstream, end: UpstreamEnd): void;
}

/** One upstream watch of a feed, with its own coverage. */
export class FeedUpstream {
  readonly prevKv: boolean;
  readonly startRevision: bigint;
  readonly #listener: FeedUpstreamListener;
  readonly #fetchPrevious: FetchPrevious;
  readonly #intake: Intake;
  readonly #watch: UpstreamWatch;
  #header: HeaderView = { clusterId: 0n, memberId: 0n, revision: 0n, raftTerm: 0n };
  /** What came while a previous value was being fetched waits behind it. */
  #backlog: (() => void)[] | undefined = undefined;
  #isOver = false;

  constructor(
    source: WatchSource,
    request: UpstreamWatchRequest,
    fetchPrevious: FetchPrevious,
    listener: FeedUpstreamListener,
  ) {
    this.prevKv = request.prevKv;
    this.startRevision = request.startRevision;
    this.#listener = listener;
    this.#fetchPrevious = fetchPrevious;
    this.#intake = new Intake(request.coverage);
    this.#watch = source.open(request, this.#sink);
  }

  get coverage(): bigint {
    return this.#intake.coverage;
  }

  get hasCovered(): boolean {
    return this.#intake.hasCovered;
  }

  get member(): string {
    return this.#watch.member;
  }

  get watch(): Omit<UpstreamWatch, "cancel"> {
    return this.#watch;
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#watch.cancel();
  }

  readonly #sink: UpstreamWatchSink = {
    onCreated: (header) => {
      this.#header = header;
      this.#inOrder(() => this.#listener.onCreated(this));
    },
    onEvents: (events, isFragment, header) => {
      this.#header = header;
      this.#inOrder(() => this.#takeEvents(events, isFragment, header));
    },
    onProgress: (revision) => {
      this.#inOrder(() => {
        const advance = this.#intake.progress(revision);
        if (advance !== undefined) this.#listener.onAdvance(this, advance, this.#header);
        this.#listener.onProgressed(this);
      });
    },
    onEnd: (end) => {
      this.#inOrder(() => {
        this.#isOver = true;
        this.#listener.onEnd(this, end);
      });
    },
  };

  #inOrder(act: () => void): void {
    if (this.#isOver) return;
    if (this.#backlog !== undefined) this.#backlog.push(act);
    else act();
  }

  #takeEvents(events: readonly EventView[], isFragment: boolean, header: HeaderView): void {
    const advance = this.#intake.take(events, isFragment);
    if (advance === undefined) return;
    if (this.prevKv && advance.events.some(lacksPrevious)) this.#fill(advance, header);
    else this.#listener.onAdvance(this, advance, header);
  }

  /** etcd leaves out a previous value now and then at the beginning of a watch: asked for by hand (rule 20). */
  #fill(advance: Advance, header: HeaderView): void {
    this.#backlog = [];
    const fill = async (event: EventView): Promise<EventView> => {
      if (!lacksPrevious(event)) return event;
      return { ...event, prevKv: await this.#fetchPrevious(event.key, event.modRevision - 1n) };
    };
    Promise.all(advance.events.map(fill)).then(
      (events) => this.#resume(() => this.#listener.onAdvance(this, { ...advance, events }, header)),
      (error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        this.cancel();
        this.#backlog = undefined;
        this.#listener.onEnd(this, { t: "lost", code: 14, message });
      },
    );
  }

  #resume(first: () => void): void {
    const waiting = this.#backlog ?? [];
    this.#backlog = undefined;
    if (this.#isOver) return;
    first();
    // One of them may have to wait again: the rest goes behind it.
    for (const act of waiting) this.#inOrder(act);
  }
}

function lacksPrevious(event: EventView): boolean {
  return event.prevKv === undefined && !event.isCreate;
}
