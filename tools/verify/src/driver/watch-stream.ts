import { setTimeout as delay } from "node:timers/promises";
import {
  type MessageInitShape,
  WatchCreateRequest_FilterType,
  type WatchRequestSchema,
  type WatchResponse,
} from "@etcd-edge/proto";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { toChangeEvent, toRange } from "./convert.ts";
import { type EtcdClient, failureText, watch } from "./etcd-client.ts";
import type { OpenWatch, Recorder } from "./recorder.ts";

type Duplex = ClientDuplexStream<MessageInitShape<typeof WatchRequestSchema>, WatchResponse>;

/** One Watch call with some watches on it. Every message goes into the records of those it is for. */
export class WatchStream implements Disposable {
  /** Resolves when the call is over, however it ended. */
  readonly ended: Promise<void>;
  readonly #recorder: Recorder;
  readonly #duplex: Duplex;
  readonly #byId = new Map<bigint, OpenWatch>();
  readonly #canceled = new Set<OpenWatch>();
  #creating: { readonly open: OpenWatch; readonly created: () => void } | undefined;
  #isOver = false;

  private constructor(recorder: Recorder, etcd: EtcdClient, duplex: Duplex) {
    this.#recorder = recorder;
    this.#duplex = duplex;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    const end = (reason: string): void => {
      this.#end(reason);
      resolve();
    };
    duplex.on("data", (message: WatchResponse) => this.#take(message));
    duplex.on("error", (error: unknown) => {
      etcd.noteFailure(error);
      end(failureText(error));
    });
    duplex.on("end", () => end("0"));
  }

  /** @throws ServiceError where no token can be had */
  static async open(recorder: Recorder, etcd: EtcdClient): Promise<WatchStream> {
    return new WatchStream(recorder, etcd, await etcd.open(watch.watch));
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
    this.#duplex.write({ requestUnion: { case: "createRequest", value } });
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
      this.#duplex.write({ requestUnion: { case: "cancelRequest", value: { watchId } } });
    }
  }

  askProgress(): void {
    if (!this.#isOver) this.#duplex.write({ requestUnion: { case: "progressRequest", value: {} } });
  }

  /** Reads nothing for a while, as a client does that is busy with something else. */
  async sleep(ms: number): Promise<void> {
    this.#duplex.pause();
    await Promise.race([delay(ms), this.ended]);
    this.#duplex.resume();
  }

  /** Ends the call and says nothing of it in the records: its watches were there to the end. */
  leaveOpen(): void {
    this.#isOver = true;
    this.#duplex.cancel();
  }

  [Symbol.dispose](): void {
    this.#end("the client left");
    this.#duplex.cancel();
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
