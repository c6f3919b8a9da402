import type { ConnectionOptions as TlsConnectionOptions } from "node:tls";
import type { TransportCounters } from "../counters.ts";
import type { KeepaliveOptions } from "../http2/keepalive.ts";
import type { ConnectionLimits } from "../http2/limits.ts";
import type { BackoffOptions } from "./backoff.ts";
import type { Channel } from "./channel.ts";
import type { ClientCall } from "./client-call.ts";
import type { Endpoint } from "./dial.ts";
import type { Outcome } from "./outcome.ts";

/**
 *   idle ──call, connect()──► connecting ──SETTINGS──► ready ──last connection gone──► idle
 *    ▲                            │  ▲
 *    │                         failed └──timer, calls waiting──┐
 *    └──timer, nobody waits──transientFailure──────────────────┘          any ──close()──► shutdown
 */
export type ChannelState =
  | { readonly t: "idle" }
  | { readonly t: "connecting" }
  | { readonly t: "ready" }
  | { readonly t: "transientFailure"; readonly message: string }
  | { readonly t: "shutdown" };

/** What a channel is made of. All durations in milliseconds. */
export interface ChannelOptions {
  readonly endpoint: Endpoint;
  /** TLS if given; ALPN is set here, and a server that does not choose h2 is refused. */
  readonly tls?: TlsConnectionOptions | (() => TlsConnectionOptions);
  /** `:authority`; by default from the endpoint. */
  readonly authority?: string;
  readonly userAgent?: string;
  /** More connections are opened when the server's stream limit is reached; 1 by default. */
  readonly maxConnections?: number;
  /** From dialling to the server's SETTINGS; 10 s by default. */
  readonly connectTimeoutMs?: number;
  readonly backoff?: Partial<BackoffOptions>;
  readonly keepalive?: Partial<KeepaliveOptions>;
  readonly limits?: Partial<ConnectionLimits>;
  /** Calls that may wait for a connection or for room on one; further ones end with 8. 10,000 by default. */
  readonly maxPendingCalls?: number;
  /**
   * Bytes of messages that calls without a connection may hold together before further messages end their call with 8.
   * One message may pass it, so that a large one is never impossible. 64 MiB by default.
   */
  readonly maxPendingBytes?: number;
  /** How long a call may wait for room on connections that are full; 30 s by default, then 14. */
  readonly maxPendingMs?: number;
  readonly counters?: TransportCounters;
  readonly onState?: (state: ChannelState, channel: Channel) => void;
  /** A call has ended; told before its sink. Must not throw. */
  readonly onCallEnd?: (outcome: Outcome, call: ClientCall) => void;
  /** A sink threw; its call was cancelled. By default the error is thrown where it ends the process. */
  readonly onSinkError?: (error: unknown) => void;
}
