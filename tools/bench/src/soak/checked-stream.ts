import {
  create,
  fromBinary,
  toBinary,
  WatchCreateRequestSchema,
  type WatchRequest,
  WatchRequestSchema,
  type WatchResponse,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import type { Channel, ClientCall } from "@etcd-edge/transport";
import { CheckedWatch, type Findings, type WatchWish } from "./checked-watch.ts";
import type { EtcdHistory } from "./etcd-history.ts";

/** A Watch call of a client, with some watches on it. */
export class CheckedStream {
  readonly #call: ClientCall;
  readonly #findings: Findings;
  /** Those that wait for their created, in order. */
  readonly #asked: CheckedWatch[] = [];
  readonly #watches = new Map<bigint, CheckedWatch>();
  #isClosed = false;

  constructor(
    channel: Channel,
    wishes: readonly WatchWish[],
    { history, findings }: { readonly history: EtcdHistory; readonly findings: Findings },
  ) {
    this.#findings = findings;
    this.#call = channel.open(
      "/etcdserverpb.Watch/Watch",
      [],
      {},
      {
        onMessage: (payload) => this.#take(fromBinary(WatchResponseSchema, payload)),
        onEnd: ({ code, message }) => {
          if (!this.#isClosed) this.#differ(`a stream ended: ${code} ${message}`);
          this.#isClosed = true;
        },
      },
    );
    for (const wish of wishes) {
      this.#asked.push(new CheckedWatch(wish, history, findings));
      const { start: startRevision, prevKv, filters, progressNotify } = wish;
      const [key, rangeEnd] = [wish.key, wish.rangeEnd].map((text) => Buffer.from(text, "latin1"));
      const rest = { startRevision, prevKv, filters: [...filters], progressNotify };
      const value = create(WatchCreateRequestSchema, {
        key: key ?? noBytes,
        rangeEnd: rangeEnd ?? noBytes,
        ...rest,
      });
      this.#send({ case: "createRequest", value });
    }
  }

  get isOver(): boolean {
    return this.#isClosed;
  }

  /** Compares what can be compared. */
  check(): void {
    for (const watch of this.#watches.values()) watch.check();
  }

  /** Events that have not come, of all its watches. */
  get missing(): number {
    let missing = this.#isClosed ? 0 : this.#asked.length;
    for (const watch of this.#watches.values()) missing += watch.missing;
    return missing;
  }

  askProgress(): void {
    if (!this.#isClosed) this.#call.sendMessage(progressRequest);
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  close(): void {
    this.check();
    this.#isClosed = true;
    this.#watches.clear();
    this.#call.cancel();
  }

  #take(response: WatchResponse): void {
    const { watchId, events, header } = response;
    const revision = header?.revision ?? 0n;
    if (response.created) {
      const watch = this.#asked.shift();
      if (response.canceled) this.#differ(`a create was refused: ${response.cancelReason}`);
      else if (watch !== undefined) this.#watches.set(watchId, watch);
      watch?.begin(revision);
    } else if (watchId === -1n) {
      for (const watch of this.#watches.values()) watch.takeClaim(revision);
    } else if (response.canceled) {
      this.#watches.get(watchId)?.check();
      this.#watches.delete(watchId);
      if (response.compactRevision > 0n) this.#findings.compacted++;
      else this.#differ(`a watch was cancelled: ${response.cancelReason}`);
    } else if (events.length > 0) {
      this.#watches.get(watchId)?.takeEvents(events);
    } else {
      this.#watches.get(watchId)?.takeClaim(revision);
    }
  }

  #differ(text: string): void {
    this.#findings.differences++;
    if (this.#findings.texts.length < 20) this.#findings.texts.push(text);
  }

  #send(requestUnion: WatchRequest["requestUnion"]): void {
    this.#call.sendMessage(toBinary(WatchRequestSchema, create(WatchRequestSchema, { requestUnion })));
  }
}

const noBytes = new Uint8Array(0);
/** WatchRequest{progress_request: {}} */
const progressRequest = Uint8Array.of(0x1a, 0);
