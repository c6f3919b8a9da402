import type { Rpc } from "@etcd-edge/proto";
import type { ClientPresence } from "../http/client-presence.ts";

/**
 * Metadata as it travels: name, value, name, value, in order, names in lower case, duplicates kept, values of `-bin`
 * names as base64 text.
 */
export type Metadata = readonly string[];

/** What a call upstream is made with. */
export interface UpstreamCall {
  readonly rpc: Rpc;
  readonly metadata: Metadata;
  /** Time left for the whole call; nothing for no deadline. */
  readonly timeoutMs: number | undefined;
  /** Who leaves cancels the call upstream. */
  readonly presence: ClientPresence;
}

/** What of a request is wrong: a place in its JSON (RFC 6901, in a URI fragment), or a parameter of its query. */
export type RequestPlace = { readonly pointer: string } | { readonly parameter: string };

/** A call that failed, with the status of gRPC. */
export class UpstreamError extends Error {
  readonly status: number;
  /** Whether the status came from the server or was made here (deadline, no connection, cancellation). */
  readonly origin: "server" | "local";
  /** An HTTP status that says it better than the one of the gRPC status. */
  readonly httpStatus: number | undefined;
  /** What of the request is wrong, where that is known. */
  readonly place: RequestPlace | undefined;
  /** After how many seconds it may be tried again, where that is known. */
  readonly retryAfterSeconds: number | undefined;

  constructor(options: {
    status: number;
    message: string;
    origin: "server" | "local";
    httpStatus?: number | undefined;
    place?: RequestPlace | undefined;
    retryAfterSeconds?: number | undefined;
    cause?: unknown;
  }) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "UpstreamError";
    this.status = options.status;
    this.origin = options.origin;
    this.httpStatus = options.httpStatus;
    this.place = options.place;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

export interface UnaryAnswer {
  readonly message: Uint8Array;
  /** Response headers, `content-type` included. */
  readonly headers: Metadata;
}

/** One streaming call. Ends by itself when the server ends it, or by `cancel`. */
export interface UpstreamStream {
  /** Resolves when the stream takes more. */
  send(message: Uint8Array): Promise<void>;
  /** No more messages from here. */
  halfClose(): void;
  /** The next message, or nothing at a good end. Only one may be awaited at a time. Throws UpstreamError. */
  receive(): Promise<Uint8Array | undefined>;
  /** Response headers, once the first message or the end is there. */
  readonly headers: Metadata;
  /** Gives the call up; what is being received throws. Twice is nothing. */
  cancel(): void;
}

/** Where calls go: one etcd cluster or a proxy in front of it. Messages are opaque bytes. */
export interface Upstream {
  /** @throws UpstreamError */
  unary(call: UpstreamCall, request: Uint8Array): Promise<UnaryAnswer>;
  /** @throws UpstreamError where there is no connection to open it on */
  open(call: UpstreamCall): Promise<UpstreamStream>;
}
