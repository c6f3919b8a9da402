import type { Clock, Timer } from "../ports.ts";
import type { UpstreamWatch, UpstreamWatchRequest, UpstreamWatchSink } from "../upstream/upstream-watch.ts";
import { unknownGates, type VersionGates } from "../upstream/version-gates.ts";
import { Follower } from "./follower.ts";
import type { Party } from "./interest-table.ts";

/** What such a watch needs of its scope. */
export interface SharedWatchHost {
  readonly clock: Clock;
  /** Settles when it is known who else is there; nothing where that is known, or nobody can be there. */
  whenReady(): Promise<void> | undefined;
  /** Whose frames the watch could live on. */
  findTarget(request: UpstreamWatchRequest): Party | undefined;
  /**
   * How long to wait for somebody else to open the range at etcd; 0 where that is ours to do.
   */
  patienceMs(request: UpstreamWatchRequest): number;
  /** Calls after every change of who has what. @returns the way to stop it */
  onChange(listener: () => void): () => void;
  follow(target: Party, request: UpstreamWatchRequest, sink: UpstreamWatchSink): Follower;
  openAtEtcd(request: UpstreamWatchRequest, sink: UpstreamWatchSink): UpstreamWatch;
  /** Whether the watch may be opened now, for etcd has only so much for those who lost something (rule 26). */
  takeBudget(request: UpstreamWatchRequest): true | Promise<boolean>;
  /** A quorum confirms that history is the one we know (rule 3). */
  confirmHistory(request: UpstreamWatchRequest): Promise<void>;
}

/** Of gRPC. */
const unavailable = 14;

/**
 * A watch that is somebody else's if somebody has it, and ours if not:
 *
 *     deciding ──somebody has it──▶ following
 *        └── it is our turn ──▶ at etcd
 */
export class SharedWatch implements UpstreamWatch {
  readonly #host: SharedWatchHost;
  readonly #request: UpstreamWatchRequest;
  readonly #sink: UpstreamWatchSink;
  #inner: UpstreamWatch | undefined = undefined;
  #isOver = false;
  #waitedMs = 0;
  /** Ends the wait that is under way. */
  #stopWaiting: () => void = () => {};

  constructor(host: SharedWatchHost, request: UpstreamWatchRequest, sink: UpstreamWatchSink) {
    this.#host = host;
    this.#request = request;
    this.#sink = sink;
    if (request.via === "etcd") this.#useBudget();
    else {
      const ready = host.whenReady();
      if (ready === undefined) this.#decide();
      else void ready.then(() => this.#ifOpen(() => this.#decide()));
    }
  }

  /** Of whom it lives, if it does. */
  get follower(): Follower | undefined {
    return this.#inner instanceof Follower ? this.#inner : undefined;
  }

  get via(): UpstreamWatch["via"] {
    return this.#inner?.via ?? "fabric";
  }

  get member(): string {
    return this.#inner?.member ?? "";
  }

  get gates(): VersionGates {
    return this.#inner?.gates ?? unknownGates;
  }

  get streamId(): string {
    return this.#inner?.streamId ?? "";
  }

  requestProgress(): void {
    this.#inner?.requestProgress();
  }

  cancel(): void {
    this.#isOver = true;
    this.#stopWaiting();
    this.#inner?.cancel();
  }

  #ifOpen(act: () => void): void {
    if (!this.#isOver) act();
  }

  #decide(): void {
    const target = this.#host.findTarget(this.#request);
    if (target !== undefined) {
      this.#follow(target);
    } else if (this.#request.via === "fabric") {
      // A planned move to frames that are not there any more.
      void Promise.resolve().then(() => this.#end());
    } else {
      const patienceMs = this.#host.patienceMs(this.#request);
      if (patienceMs > 0) this.#wait(patienceMs);
      else this.#useBudget();
    }
  }

  #follow(target: Party): void {
    this.#inner = this.#host.follow(target, this.#request, this.#sink);
  }

  /** The next in line opens at once; others wait their turn, and open only if nobody has by then (rule 26). */
  #wait(patienceMs: number): void {
    let timer: Timer | undefined;
    const stopListening = this.#host.onChange(() => {
      const target = this.#host.findTarget(this.#request);
      if (target === undefined) return;
      this.#stopWaiting();
      this.#follow(target);
    });
    this.#stopWaiting = () => {
      timer?.stop();
      stopListening();
    };
    timer = this.#host.clock.setTimer(patienceMs, () => {
      this.#stopWaiting();
      this.#waitedMs += patienceMs;
      // The others may have come up with somebody better meanwhile.
      const more = this.#host.patienceMs(this.#request) - this.#waitedMs;
      if (more > 0) this.#wait(more);
      else this.#confirm();
    });
  }

  /** After a wait: what was known of history before it is no longer fresh (rule 3). */
  #confirm(): void {
    this.#host.confirmHistory(this.#request).then(
      () => this.#ifOpen(() => this.#useBudget()),
      (error: unknown) => this.#lose(error instanceof Error ? error.message : String(error)),
    );
  }

  #useBudget(): void {
    const granted = this.#host.takeBudget(this.#request);
    if (granted === true) {
      this.#open();
      return;
    }
    void granted.then((isGranted) => {
      if (this.#isOver) return;
      const target = this.#request.via === "etcd" ? undefined : this.#host.findTarget(this.#request);
      if (target !== undefined) this.#follow(target);
      else if (isGranted) this.#open();
      else this.#lose("etcd-edge: too many watches are to be opened at etcd");
    });
  }

  #open(): void {
    this.#inner = this.#host.openAtEtcd(this.#request, this.#sink);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sink.onEnd({ t: "ceded", needsEtcd: false });
  }

  #lose(message: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sink.onEnd({ t: "lost", code: unavailable, message });
  }
}
