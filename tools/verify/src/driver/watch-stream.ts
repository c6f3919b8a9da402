import { setTimeout as delay } from "node:timers/promises";
import { WatchCreateRequest_FilterType, type WatchResponse } from "@etcd-edge/proto";
import { toChangeEvent, toRange } from "./convert.ts";
import { failureText } from "./etcd-client.ts";
import type { OpenWatch, Recorder } from "./recorder.ts";
import type { WatchOpener, WatchWire } from "./watch-wire.ts";

/** One stream with some watches on it. Every message goes into the records of those it is for. */
export class WatchStream implements Disposable {
  /** Resolves when the call is over, however it ended. */
  readonly ended: Promise<void>;
  readonly #recorder: Recorder;
  #wire: WatchWire | undefined;
  readonly #byId = new Map<bigint, OpenWatch>();
  readonly #canceled = new Set<OpenWatch>();
  #creating: { readonly open: OpenWatch; readonly created: () => void } | undefined;
  #isOver = false;

  private constructor(recorder: Recorder, ended: Promise<void>) {
    this.#recorder = recorder;
    this.ended = ended;
  }

  /** @throws ServiceError where no token can be had */
  static async open(recorder: Recorder, opener: WatchOpener): Promise<WatchStream> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stream = new WatchStream(recorder, promise);
    const end = (reason: string): void => {
      stream.#end(reason);
      resolve();
    };
    stream.#wire = await opener.openWatch({
      onMessage: (message) => stream.#take(message),
      onError: (error) => {
        opener.noteFailure(error);
        end(failureText(error));
      },
      onEnd: () => end("0"),
    });
    return stream;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Opens a watch. One at a time, because which `created` belongs to which request is otherwise a guess with some proxies.
   * @returns whether it was created before the stream ended or the time was over
   */
  async create(open: OpenWatch, timeoutMs: number): Promise<boolean> {
    const { span, startRevision, prevKv, noPut, noDelete, progressNotify, fragment } = open.request;
    const { NOPUT, NODELETE } = WatchCreateRequest_FilterType;
    const filters = [...(noPut ? [NOPUT] : []), ...(noDelete ? [NODELETE] : [])];
    const value = { ...toRange(span), startRevision, prevKv, filters, progressNotify, fragment };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#creating = { open, created: resolve };
    if (this.#isOver) return false;
    this.#wire?.write({ requestUnion: { case: "createRequest", value } });
    const patience = new AbortController();
    await Promise.race([
      promise,
      this.ended,
      delay(timeoutMs, undefined, { signal: patience.signal }).catch(() => {}),
    ]);
    patience.abort();
    return this.#creating === undefined && !this.#isOver;
  }

  cancel(open: OpenWatch): void {
    for (const [watchId, one] of this.#byId) {
      if (one !== open || this.#isOver) continue;
      open.cancelAskedAt = this.#recorder.now();
      this.#wire?.write({ requestUnion: { case: "cancelRequest", value: { watchId } } });
    }
  }

  askProgress(): void {
    if (!this.#isOver) this.#wire?.write({ requestUnion: { case: "progressRequest", value: {} } });
  }

  /** Reads nothing for a while, as a client does that is busy with something else. */
  async sleep(ms: number): Promise<void> {
    this.#wire?.pause();
    await Promise.race([delay(ms), this.ended]);
    this.#wire?.resume();
  }

  /** Ends the call and says nothing of it in the records: its watches were there to the end. */
  leaveOpen(): void {
    this.#isOver = true;
    this.#wire?.cancel();
  }

  [Symbol.dispose](): void {
    this.#end("the client left");
    this.#wire?.cancel();
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const at = this.#recorder.now();
    const left = new Set([
      ...this.#byId.values(),
      ...(this.#creating === undefined ? [] : [this.#creating.open]),
    ]);
    for (const open of left) {
      if (this.#canceled.has(open)) continue;
      open.isOpen = false;
      open.messages.push({ t: "lost", at, reason });
    }
  }

  #take(message: WatchResponse): void {
    if (this.#isOver) return;
    const at = this.#recorder.now();
    const revision = message.header?.revision ?? 0n;
    this.#recorder.saw(revision);
    if (message.created) {
      const creating = this.#creating;
      this.#creating = undefined;
      if (creating === undefined) return;
      const clusterId = message.header?.clusterId ?? 0n;
      creating.open.messages.push({ t: "created", at, revision, clusterId });
      this.#byId.set(message.watchId, creating.open);
      if (message.canceled) this.#takeCanceled(message, creating.open, at);
      creating.created();
      return;
    }
    if (message.watchId === -1n) {
      for (const open of this.#byId.values()) {
        if (this.#canceled.has(open)) continue;
        open.messages.push({ t: "progress", at, revision, isForStream: true });
      }
      return;
    }
    const open = this.#byId.get(message.watchId);
    if (open === undefined) return;
    if (message.canceled) this.#takeCanceled(message, open, at);
    else if (message.events.length > 0) {
      const events = message.events.map(toChangeEvent);
      open.messages.push({ t: "events", at, revision, isFragment: message.fragment, events });
    } else open.messages.push({ t: "progress", at, revision, isForStream: false });
  }

  #takeCanceled(message: WatchResponse, open: OpenWatch, at: number): void {
    const { compactRevision, cancelReason } = message;
    const revision = message.header?.revision ?? 0n;
    open.messages.push({ t: "canceled", at, revision, compactRevision, reason: cancelReason });
    open.isOpen = false;
    // What is said of the stream later does not concern it; what is said to it by name is still taken down.
    this.#canceled.add(open);
  }
}
