import type { SessionPort } from "@etcd-edge/coalesce";
import { create, GrpcStatus, toBinary, WatchRequestSchema } from "@etcd-edge/proto";
import type { Clock, Timer } from "@etcd-edge/runtime";
import type { Reply } from "../door/reply.ts";
import type { CallStyle } from "../http/call-style.ts";
import type { ClientPresence } from "../http/client-presence.ts";
import type { CallHeaders } from "../http/request-metadata.ts";
import { UpstreamError } from "../upstream/upstream.ts";
import { LineMemo } from "./line-memo.ts";
import { toWatchClient, watchCountOf } from "./watch-client.ts";
import type { OpenWatch } from "./watch-host.ts";
import { watchJson } from "./watch-json.ts";

/** One stream of watches in the JSON door. */
export interface WatchCall {
  readonly openWatch: OpenWatch;
  readonly clock: Clock;
  readonly headers: CallHeaders;
  readonly style: CallStyle;
  readonly reply: Reply;
  /** Lives as long as the client's connection. */
  readonly connection: object;
  readonly presence: ClientPresence;
}

/** A request for progress, as bytes. */
export const progressRequest: Uint8Array = toBinary(
  WatchRequestSchema,
  create(WatchRequestSchema, { requestUnion: { case: "progressRequest", value: {} } }),
);

const responseHeaders = ["content-type", "application/grpc"];
const frames = new LineMemo((text) => `{"result":${text}}\n`);
const emptyLine = Buffer.from("\n");

/**
 * Runs one stream of watches: requests come by `feed`, answers leave as they are. Resolves when the stream was ended by the
 * host, or the client has gone.
 *
 * With a heartbeat etcd is asked how far it is, and the answer is a progress response, as one that was asked for by a
 * `progress_request`; a line without anything says that there is none, but that the connection lives.
 *
 * @param feed gives the bytes of requests as they come, and ends when there are no more
 * @throws what `feed` throws, or UpstreamError for the end of the stream, with nothing of it told to the client
 */
export async function serveWatch(
  call: WatchCall,
  feed: (send: (request: Uint8Array) => void) => Promise<void>,
): Promise<void> {
  const { clock, headers, reply, presence, style } = call;
  const ended = Promise.withResolvers<void>();
  const json = watchJson[style.bytes];
  let isQuiet = false;
  const port: SessionPort = {
    fans: undefined,
    send: (head, body) => {
      isQuiet = false;
      return reply.line(frames.lineOf(json.textOf(head, body), ""), responseHeaders);
    },
    end: (code, message) => ended.reject(new UpstreamError({ status: code, message, origin: "server" })),
  };
  const watch = call.openWatch(port, toWatchClient(headers.metadata, watchCountOf(call.connection)));
  reply.onDrain(() => watch.session.onDrain());
  const timers: { stop(): void }[] = [];
  if (headers.timeoutMs !== undefined) {
    timers.push(clock.setTimer(headers.timeoutMs, () => ended.reject(deadlineExceeded())));
  }
  if (style.heartbeatMs !== undefined) {
    timers.push(
      every(clock, style.heartbeatMs, () => {
        if (isQuiet && reply.isIdle) reply.line(emptyLine, responseHeaders);
        isQuiet = true;
        watch.session.onMessage(progressRequest);
      }),
    );
  }
  const stopListening = presence.onGone(() => ended.resolve());
  feed((request) => watch.session.onMessage(request)).catch(ended.reject);
  try {
    await ended.promise;
  } finally {
    stopListening();
    for (const timer of timers) timer.stop();
    watch.close();
  }
}

function every(clock: Clock, intervalMs: number, act: () => void): { stop(): void } {
  let timer: Timer;
  const arm = (): void => {
    timer = clock.setTimer(intervalMs, () => {
      arm();
      act();
    });
  };
  arm();
  return { stop: () => timer.stop() };
}

function deadlineExceeded(): UpstreamError {
  const message = "context deadline exceeded";
  return new UpstreamError({ status: GrpcStatus.DEADLINE_EXCEEDED, message, origin: "local" });
}
