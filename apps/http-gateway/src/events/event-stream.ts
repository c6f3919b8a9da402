import type { ServerResponse } from "node:http";
import type { SessionPort } from "@etcd-edge/coalesce";
import { create, GrpcStatus, readWatchResponse, toBinary, WatchRequestSchema } from "@etcd-edge/proto";
import type { Clock, Timer } from "@etcd-edge/runtime";
import { startAnswer } from "../http/start-answer.ts";
import type { BytesStyle } from "../json/json-style.ts";
import { UpstreamError } from "../upstream/upstream.ts";
import { LineMemo } from "../watch/line-memo.ts";
import { progressRequest } from "../watch/serve-watch.ts";
import type { OpenedWatch } from "../watch/watch-host.ts";
import { watchJson } from "../watch/watch-json.ts";
import { EventPosition } from "./event-position.ts";
import type { EventQuery } from "./event-query.ts";

type WatchView = ReturnType<typeof readWatchResponse>;

/**
 * When clients come again after the process went away, in milliseconds: spread, and not at once. They keep to it for as long as
 * nobody tells them otherwise, also while nobody is there.
 */
const retryMs = { least: 1_000, spread: 2_000 };
const messages = new LineMemo((text, id) => `id: ${id}\ndata: ${text}\n\n`);
const comment = ":\n\n";

export interface EventStreamOptions {
  readonly query: EventQuery;
  readonly response: ServerResponse;
  readonly baseHeaders: readonly string[];
  readonly clock: Clock;
  /** Time between two signs of life, in milliseconds. */
  readonly heartbeatMs: number;
  readonly bytes: BytesStyle;
}

/**
 *     opening ──every range has been answered──▶ running ──all ranges are over, or the host ends it──▶ ended
 *        └── a range is refused ──▶ ended, with a status
 *
 * One client's stream of Server-Sent Events: the port of its session. JSON has no line breaks, so that one `data` field holds
 * a message.
 */
export class EventStream implements SessionPort {
  readonly fans = undefined;
  readonly #options: EventStreamOptions;
  readonly #position: EventPosition;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();
  #watch: OpenedWatch | undefined;
  /** Ranges that have not been answered. */
  #opening: number;
  #living: number;
  #timer: Timer | undefined;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    const { length } = options.query.watches;
    this.#position = new EventPosition(length);
    this.#opening = length;
    this.#living = length;
  }

  /**
   * Asks for the ranges and resolves when the stream is over, with all said that there is to say.
   * @throws UpstreamError where nothing has been sent yet
   */
  async run(watch: OpenedWatch, signal: AbortSignal): Promise<void> {
    this.#watch = watch;
    const onGone = (): void => this.#ended.resolve();
    signal.addEventListener("abort", onGone, { once: true });
    if (signal.aborted) onGone();
    this.#options.response.on("drain", () => watch.session.onDrain());
    try {
      for (const value of this.#options.query.watches) {
        const request = create(WatchRequestSchema, {
          // So that the last word before a shutdown is how far the client is.
          requestUnion: { case: "createRequest", value: { ...value, progressNotify: true } },
        });
        watch.session.onMessage(toBinary(WatchRequestSchema, request));
      }
      await this.#ended.promise;
    } finally {
      this.#timer?.stop();
      signal.removeEventListener("abort", onGone);
      watch.close();
    }
  }

  // ---- of the session ----

  send(head: Uint8Array, body: Uint8Array): boolean {
    const answer = readWatchResponse(head);
    if (body.length > 0) return this.#onEvents(answer, head, body);
    if (answer.isCanceled) return this.#onCanceled(answer, head, body);
    if (answer.isCreated) return this.#onCreated(answer);
    return this.#onProgress(answer);
  }

  /** The host is done with this stream: another replica takes it from here, and not all of its clients at once. */
  end(code: number, message: string): void {
    const { response } = this.#options;
    if (!response.headersSent) {
      this.#ended.reject(new UpstreamError({ status: code, message, origin: "server" }));
      return;
    }
    response.end(`retry: ${retryMs.least + Math.ceil(Math.random() * retryMs.spread)}\n\n`);
    this.#ended.resolve();
  }

  /** The header's revision is that of the last event (rule 31), and a revision is never split over two responses. */
  #onEvents({ header, watchId }: WatchView, head: Uint8Array, body: Uint8Array): boolean {
    this.#position.onReached(Number(watchId), header.revision);
    const text = watchJson[this.#options.bytes].textOf(head, body);
    return this.#options.response.write(messages.lineOf(text, String(this.#position)));
  }

  #onCreated({ header, watchId }: WatchView): boolean {
    const index = Number(watchId);
    const asked = BigInt(this.#options.query.watches[index]?.startRevision ?? 0n);
    this.#position.onReached(index, asked > 0n ? asked - 1n : header.revision);
    this.#opening--;
    return this.#opening > 0 || this.#begin();
  }

  #onProgress({ header, watchId }: WatchView): boolean {
    if (watchId < 0n) this.#position.onAllReached(header.revision);
    else this.#position.onReached(Number(watchId), header.revision);
    return this.#bookmark();
  }

  /** A refusal before anything was sent is the answer's status: an `EventSource` does not come again then. */
  #onCanceled(answer: WatchView, head: Uint8Array, body: Uint8Array): boolean {
    const { isCreated, cancelReason, compactRevision, watchId } = answer;
    if (isCreated && !this.#options.response.headersSent && compactRevision === 0n) {
      this.#ended.reject(toRefusal(cancelReason));
      return false;
    }
    if (isCreated) this.#opening--;
    this.#living--;
    this.#begin();
    if (compactRevision > 0n) this.#position.onReached(Number(watchId), compactRevision - 1n);
    const hasRoom = this.#write("canceled", watchJson[this.#options.bytes].textOf(head, body));
    if (this.#living > 0) return hasRoom;
    this.#options.response.end();
    this.#ended.resolve();
    return false;
  }

  #begin(): boolean {
    const { response, baseHeaders } = this.#options;
    if (response.headersSent) return !response.writableNeedDrain;
    startAnswer(response, 200, [
      ...baseHeaders,
      ...["Content-Type", "text/event-stream"],
      ...["Cache-Control", "no-cache, no-transform"],
      ...["X-Accel-Buffering", "no"],
    ]);
    this.#beat();
    return this.#bookmark();
  }

  #beat(): void {
    const { clock, heartbeatMs, response } = this.#options;
    this.#timer = clock.setTimer(heartbeatMs, () => {
      // A client that does not read needs no sign of life, and gets its bookmark when it does.
      if (!response.writableNeedDrain) {
        response.write(comment);
        this.#watch?.session.onMessage(progressRequest);
      }
      this.#beat();
    });
  }

  #bookmark(): boolean {
    return this.#write("bookmark", `{"position":"${this.#position}"}`);
  }

  #write(event: string, data: string): boolean {
    return this.#options.response.write(`id: ${this.#position}\nevent: ${event}\ndata: ${data}\n\n`);
  }
}

function toRefusal(reason: string): UpstreamError {
  const [, code = "", text = ""] = /^rpc error: code = (\w+) desc = (.*)$/s.exec(reason) ?? [];
  const status = refusals[code] ?? GrpcStatus.INVALID_ARGUMENT;
  return new UpstreamError({ status, message: text === "" ? reason : text, origin: "server" });
}

/** How grpc-go spells the codes that a refused watch may have. */
const refusals: Readonly<Record<string, number>> = {
  PermissionDenied: GrpcStatus.PERMISSION_DENIED,
  Unauthenticated: GrpcStatus.UNAUTHENTICATED,
  Unavailable: GrpcStatus.UNAVAILABLE,
};
