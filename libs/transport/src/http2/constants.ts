import { Buffer } from "node:buffer";

/** RFC 9113, 3.4: what a client sends first. */
export const CLIENT_PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Bytes of a frame header (RFC 9113, 4.1). */
export const FRAME_HEADER_BYTES = 9;

/** RFC 9113, section 6. */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Frame flags; ACK shares its bit with END_STREAM. */
export const Flag = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

/** RFC 9113, section 7. */
export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

/** RFC 9113, 6.5.2. */
export const SettingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** Largest flow-control window (RFC 9113, 6.9.1). */
export const MAX_WINDOW = 0x7fff_ffff;
/** Window of a connection, and of a stream before SETTINGS (RFC 9113, 6.9.2). */
export const DEFAULT_WINDOW = 65_535;
/** The frame size every peer accepts; we neither announce nor use another (rule 40: turns stay short). */
export const FRAME_PAYLOAD_LIMIT = 16_384;
/** Largest stream identifier. */
export const MAX_STREAM_ID = 0x7fff_ffff;
