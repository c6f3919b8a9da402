import type { IncomingMessage, ServerResponse } from "node:http";
import { gatesOf } from "@etcd-edge/coalesce";
import {
  create,
  fromBinary,
  GrpcStatus,
  rpcOf,
  toBinary,
  WatchRequestSchema,
  type WatchResponse,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import type { Clock, Timer } from "@etcd-edge/runtime";
import type { DoorOptions } from "../door/http-door.ts";
import { drained } from "../http/drained.ts";
import { isUnforeseen, toFailure } from "../http/failure.ts";
import { HttpReply } from "../http/http-reply.ts";
import { toCallHeaders } from "../http/request-metadata.ts";
import { encodeJson } from "../json/encode.ts";
import { frameStyles } from "../profile/json-profile.ts";
import { askEtcdVersion } from "../upstream/etcd-version.ts";
import { type Metadata, UpstreamError, type UpstreamStream } from "../upstream/upstream.ts";
import { cookieToken } from "../websocket/credentials.ts";
import { EventPosition } from "./event-position.ts";
import { type EventQuery, readEventQuery } from "./event-query.ts";

const watch = rpcOf("/etcdserverpb.Watch/Watch");
const progressRequest = toBinary(
  WatchRequestSchema,
  create(WatchRequestSchema, { requestUnion: { case: "progressRequest", value: {} } }),
);
/** Reconnecting clients spread over this time, in milliseconds, when the process goes away. */
const maxRetryMs = 2_000;

/** What event streams need beside the door's options. */
export interface EventOptions extends DoorOptions {
  readonly clock: Clock;
  /** Time between two signs of life, in milliseconds. */
  readonly heartbeatMs: number;
}

/** Whether a request is one of an `EventSource`. */
export function wantsEvents({ method, headers }: IncomingMessage): boolean {
  return method === "GET" && /(?:^|[,\s])text\/event-stream/i.test(headers.accept ?? "");
}

/**
 * Answers `GET /v3/watch` with `Accept: text/event-stream` (WHATWG HTML, "Server-sent events"):
 * - messages: the WatchResponse with its events, as in the JSON door, and the position behind it as `id`;
 * - `event: bookmark`: how far the stream is, once at its beginning and then with each heartbeat where etcd can be believed
 *   (rule 4); else a heartbeat is a comment;
 * - `event: canceled`: a range's last word, its WatchResponse, with `compact_revision` where that is why.
 *
 * Resolves when it is over; closing the connection cancels the watch.
 */
export async function serveEvents(
  options: EventOptions,
  request: IncomingMessage,
  response: ServerResponse,
  where: { readonly search: string; readonly baseHeaders: readonly string[] },
): Promise<void> {
  request.resume();
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  try {
    const metadata = metadataOf(request, options.forwardAllHeaders);
    const lastEventId = request.headers["last-event-id"];
    const query = readEventQuery(where.search, typeof lastEventId === "string" ? lastEventId : undefined);
    const stream = await options.upstream.open({
      rpc: watch,
      metadata,
      timeoutMs: undefined,
      signal: gone.signal,
    });
    await new EventStream(options, { query, stream, response, baseHeaders: where.baseHeaders }).run();
  } catch (error) {
    if (gone.signal.aborted) return;
    if (isUnforeseen(error)) options.report(error);
    if (response.headersSent) {
      response.end();
      return;
    }
    const profile = await options.profile();
    const { baseHeaders } = where;
    new HttpReply({ response, profile, baseHeaders, wantsTrailers: false, problems: false }).fail(
      toFailure(error),
      "unary",
    );
  }
}

/** A browser cannot set headers on an EventSource: without a credential in one, the cookie counts, as for WebSockets. */
function metadataOf(request: IncomingMessage, forwardAll: boolean): Metadata {
  const rules = { forwardAll, peerAddress: request.socket.remoteAddress };
  const { metadata } = toCallHeaders(request.rawHeaders, rules);
  const hasToken = metadata.some((name, i) => i % 2 === 0 && (name === "token" || name === "authorization"));
  const cookie = hasToken ? undefined : cookieToken(request.headers.cookie);
  return cookie === undefined ? metadata : [...metadata, "token", cookie];
}

/** One client's stream, from its creates to its end. */
class EventStream {
  readonly #options: EventOptions;
  readonly #query: EventQuery;
  readonly #stream: UpstreamStream;
  readonly #response: ServerResponse;
  readonly #baseHeaders: readonly string[];
  readonly #position: EventPosition;
  /** Ranges that etcd has not yet said anything about. */
  #opening: number;
  #living: number;
  #isTrusted = false;
  #timer: Timer | undefined = undefined;

  constructor(
    options: EventOptions,
    parts: {
      query: EventQuery;
      stream: UpstreamStream;
      response: ServerResponse;
      baseHeaders: readonly string[];
    },
  ) {
    this.#options = options;
    this.#query = parts.query;
    this.#stream = parts.stream;
    this.#response = parts.response;
    this.#baseHeaders = parts.baseHeaders;
    const { length } = parts.query.watches;
    this.#position = new EventPosition(length);
    this.#opening = length;
    this.#living = length;
  }

  /** @throws UpstreamError where nothing has been sent yet */
  async run(): Promise<void> {
    const { draining } = this.#options;
    const onDrain = (): void => this.#stream.cancel();
    draining.addEventListener("abort", onDrain, { once: true });
    if (draining.aborted) onDrain();
    try {
      const version = askEtcdVersion(this.#options.upstream);
      for (const value of this.#query.watches) {
        const message = create(WatchRequestSchema, { requestUnion: { case: "createRequest", value } });
        await this.#stream.send(toBinary(WatchRequestSchema, message));
      }
      this.#isTrusted = gatesOf((await version) ?? "").requestedProgress;
      await this.#relay();
    } catch (error) {
      if (!draining.aborted || !this.#response.headersSent) throw error;
      // Another replica takes it from here; not all of them at once.
      this.#response.write(`retry: ${Math.ceil(Math.random() * maxRetryMs)}\n\n`);
      this.#response.end();
    } finally {
      this.#timer?.stop();
      draining.removeEventListener("abort", onDrain);
      this.#stream.cancel();
    }
  }

  async #relay(): Promise<void> {
    while (this.#living > 0) {
      const message = await this.#stream.receive();
      if (message === undefined) break;
      await this.#take(fromBinary(WatchResponseSchema, message));
    }
    this.#response.end();
  }

  async #take(answer: WatchResponse): Promise<void> {
    const index = Number(answer.watchId);
    if (answer.canceled) return await this.#onCanceled(answer);
    if (answer.created) return await this.#onCreated(index, answer);
    if (answer.events.length > 0) {
      this.#position.onEvents(index, answer);
      return await this.#write("", encodeJson(WatchResponseSchema, answer, frameStyles.base64));
    }
    if (answer.watchId === -1n && this.#isTrusted) {
      this.#position.onProgress(answer.header?.revision ?? 0n);
      await this.#bookmark();
    }
  }

  async #onCreated(index: number, { header }: WatchResponse): Promise<void> {
    const asked = BigInt(this.#query.watches[index]?.startRevision ?? 0n);
    this.#position.begin(index, asked > 0n ? asked : (header?.revision ?? 0n) + 1n);
    this.#opening--;
    if (this.#opening === 0) await this.#begin();
  }

  async #begin(): Promise<void> {
    if (this.#response.headersSent) return;
    this.#response.writeHead(200, [
      ...this.#baseHeaders,
      ...["Content-Type", "text/event-stream"],
      ...["Cache-Control", "no-cache, no-transform"],
      ...["X-Accel-Buffering", "no"],
    ]);
    await this.#bookmark();
    this.#beat();
  }

  /** A refusal before anything was sent is the answer's status: an `EventSource` does not come again then. */
  async #onCanceled(answer: WatchResponse): Promise<void> {
    const { created, cancelReason, compactRevision } = answer;
    if (created && !this.#response.headersSent && compactRevision === 0n) {
      const isDenied = /permission denied|PermissionDenied/.test(cancelReason);
      const status = isDenied ? GrpcStatus.PERMISSION_DENIED : GrpcStatus.INVALID_ARGUMENT;
      throw new UpstreamError({ status, message: cancelReason, origin: "server" });
    }
    if (created) this.#opening--;
    this.#living--;
    await this.#begin();
    if (compactRevision > 0n) this.#position.onCompacted(Number(answer.watchId), compactRevision);
    await this.#write("canceled", encodeJson(WatchResponseSchema, answer, frameStyles.base64));
  }

  #beat(): void {
    this.#timer = this.#options.clock.setTimer(this.#options.heartbeatMs, () => {
      // A client that does not read needs no sign of life, and gets its bookmark when it does.
      if (!this.#response.writableNeedDrain) {
        if (this.#isTrusted) void this.#stream.send(progressRequest).catch(() => {});
        this.#response.write(":\n\n");
      }
      this.#beat();
    });
  }

  #bookmark(): Promise<void> {
    return this.#write("bookmark", `{"position":"${this.#position}"}`);
  }

  /** JSON has no line breaks, so that one `data` field holds it. */
  async #write(event: string, data: string): Promise<void> {
    const name = event === "" ? "" : `event: ${event}\n`;
    if (!this.#response.write(`id: ${this.#position}\n${name}data: ${data}\n\n`))
      await drained(this.#response);
  }
}
