import type { FloodLimit } from "./flood-guard.ts";

/** What a connection allows its peer. Every limit that is reached has a counter. */
export interface ConnectionLimits {
  /** SETTINGS_MAX_HEADER_LIST_SIZE: names + values + 32 each. A larger list ends its call with 8 (HTTP 431). */
  readonly maxHeaderListBytes: number;
  /** Compressed bytes of one header block before the connection ends with ENHANCE_YOUR_CALM. */
  readonly maxHeaderBlockBytes: number;
  /** CONTINUATION frames of one header block before the connection ends with ENHANCE_YOUR_CALM. */
  readonly maxContinuationFrames: number;
  /** How long a header block may stay unfinished. */
  readonly headerTimeoutMs: number;
  /** From connecting to the peer's SETTINGS, TLS included. */
  readonly handshakeTimeoutMs: number;
  /** From our SETTINGS to their acknowledgement (RFC 9113, 6.5.3), which later ends with SETTINGS_TIMEOUT; 0 waits for ever. */
  readonly settingsAckTimeoutMs: number;
  /** SETTINGS_INITIAL_WINDOW_SIZE: what a stream may send while its consumer does not read. */
  readonly streamWindowBytes: number;
  /** Window of the connection; its credit is returned on receipt (rule 40). */
  readonly connectionWindowBytes: number;
  /** Largest message taken; a larger one ends its call with 8. */
  readonly maxReceiveMessageBytes: number;
  /** Received bytes a connection may hold (paused streams, unfinished messages) before calls end with 8. */
  readonly maxHeldBytes: number;
  /** Bytes waiting to be sent on a connection, in all its streams, from which on further messages end their call with 8. */
  readonly maxQueuedBytes: number;
  /** Frames the peer made us write and does not read, in bytes, before the connection ends with ENHANCE_YOUR_CALM. */
  readonly maxUnreadBytes: number;
  /** A connection that has bytes to write and takes none for so long is destroyed; 0 waits for ever. */
  readonly writeStallTimeoutMs: number;
  /** A stream whose queued bytes find no window for so long is reset; 0 waits for ever. */
  readonly streamStallTimeoutMs: number;
  /** Streams the peer may have open, whatever was announced; more are refused with REFUSED_STREAM. */
  readonly maxOpenStreams: number;
  /** Streams reset by the peer, or by us for its errors (rapid reset). */
  readonly resetFlood: FloodLimit;
  readonly settingsFlood: FloodLimit;
  /** PING frames between which we sent nothing for calls. */
  readonly pingFlood: FloodLimit;
  /** DATA without data, PRIORITY, unknown types, frames on closed streams. */
  readonly emptyFrameFlood: FloodLimit;
  /** WINDOW_UPDATE frames that grant next to nothing: where we wait for window, or more of them than we sent frames. */
  readonly windowUpdateFlood: FloodLimit;
}

/** Limits against strangers: what a server applies unless told otherwise. */
export const serverLimits: ConnectionLimits = {
  maxHeaderListBytes: 16 * 1024,
  maxHeaderBlockBytes: 32 * 1024,
  maxContinuationFrames: 8,
  headerTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  settingsAckTimeoutMs: 10_000,
  streamWindowBytes: 65_535,
  connectionWindowBytes: 1024 * 1024,
  maxReceiveMessageBytes: 4 * 1024 * 1024,
  maxHeldBytes: 64 * 1024 * 1024,
  maxQueuedBytes: 64 * 1024 * 1024,
  maxUnreadBytes: 8 * 1024 * 1024,
  writeStallTimeoutMs: 120_000,
  streamStallTimeoutMs: 0,
  maxOpenStreams: 100_000,
  resetFlood: { burst: 2000, perSecond: 200 },
  settingsFlood: { burst: 50, perSecond: 5 },
  pingFlood: { burst: 500, perSecond: 50 },
  emptyFrameFlood: { burst: 1000, perSecond: 100 },
  windowUpdateFlood: { burst: 5000, perSecond: 500 },
};

/** Limits towards a server we chose: messages of any size, larger windows. */
export const channelLimits: ConnectionLimits = {
  ...serverLimits,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 4 * 1024 * 1024,
  maxReceiveMessageBytes: 0x7fff_ffff,
  maxHeldBytes: 1024 * 1024 * 1024,
  maxQueuedBytes: 1024 * 1024 * 1024,
  // grpc-go measures bandwidth with a PING per round trip while it receives data: thousands a second on a LAN.
  pingFlood: { burst: 100_000, perSecond: 50_000 },
};
