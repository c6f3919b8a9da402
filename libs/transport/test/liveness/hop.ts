import { Buffer } from "node:buffer";
import {
  type CallOptions,
  type CallOwner,
  ClientCall,
  type ClientSink,
} from "../../src/channel/client-call.ts";
import { ClientConnection } from "../../src/channel/client-connection.ts";
import { createCounters, type TransportCounters } from "../../src/counters.ts";
import type { RawMetadata } from "../../src/grpc/metadata.ts";
import { CLIENT_PREFACE, SettingId } from "../../src/http2/constants.ts";
import type { ConnectionLimits } from "../../src/http2/limits.ts";
import type { ServerCall, ServerSink } from "../../src/server/server-call.ts";
import { isGrpcContentType, ServerConnection } from "../../src/server/server-connection.ts";
import { createLink, type Link } from "./link.ts";

/** A client and a server connection, joined by a link. */
export interface Hop {
  readonly link: Link;
  readonly client: ClientConnection;
  readonly server: ServerConnection<undefined>;
  readonly counters: TransportCounters;
  /** Opens a call, which waits if the server's stream limit is reached. */
  open(path: string, metadata: RawMetadata, options: CallOptions, sink: ClientSink): ClientCall;
}

export interface HopOptions {
  readonly limits: ConnectionLimits;
  readonly maxConcurrentStreams: number;
  readonly onCall: (call: ServerCall<undefined>) => ServerSink<undefined>;
}

const keepalive = { timeMs: 0, timeoutMs: 1000, withoutStreams: false };

export function createHop({ limits, maxConcurrentStreams, onCall }: HopOptions): Hop {
  const counters = createCounters();
  const link = createLink();
  const waiting = new Set<ClientCall>();
  const owner: CallOwner = {
    onPendingEnded: (call) => waiting.delete(call),
    admitPending: () => true,
    onSinkError: rethrow,
  };
  const startWaiting = (): void => {
    for (const call of waiting) {
      if (!client.hasRoom) return;
      waiting.delete(call);
      client.start(call, undefined);
    }
  };
  const client = new ClientConnection(link.near.socket, {
    limits,
    keepalive,
    counters,
    scheme: "http",
    authority: "localhost",
    userAgent: "liveness",
    onReady: startWaiting,
    onRoom: startWaiting,
    onGoingAway: () => {},
    onTooManyPings: () => {},
    onClosed: () => {},
  });
  const server = new ServerConnection<undefined>(link.far.socket, {
    limits,
    keepalive,
    counters,
    settings: [[SettingId.maxConcurrentStreams, maxConcurrentStreams]],
    maxConcurrentStreams,
    pingPolicy: { minTimeMs: 0, permitWithoutStreams: true },
    acceptRequest: (method, type) => method === "POST" && isGrpcContentType(type),
    createData: () => undefined,
    onHandlerError: rethrow,
    onClosed: () => {},
    onCall,
  });
  let preface = CLIENT_PREFACE.length;
  link.near.deliverTo((chunk) => {
    // The server's sniffer takes the preface off.
    const skip = Math.min(preface, chunk.length);
    preface -= skip;
    if (skip < chunk.length) server.read(Buffer.from(chunk.subarray(skip)));
  });
  link.far.deliverTo((chunk) => client.read(Buffer.from(chunk)));
  return {
    link,
    client,
    server,
    counters,
    open: (path, metadata, options, sink) => {
      const call = new ClientCall(owner, path, metadata, options, sink);
      waiting.add(call);
      startWaiting();
      return call;
    },
  };
}

function rethrow(error: unknown): never {
  throw error;
}
