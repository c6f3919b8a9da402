import { Buffer } from "node:buffer";
import { readU16, readU32, writeFrameHeader, writeU32 } from "./bytes.ts";
import {
  DEFAULT_WINDOW,
  ErrorCode,
  FRAME_HEADER_BYTES,
  FrameType,
  MAX_WINDOW,
  SettingId,
} from "./constants.ts";
import { Http2Error } from "./http2-error.ts";

/** What the other side announced (RFC 9113, 6.5.2), at the defaults until it has. */
export interface PeerSettings {
  headerTableSize: number;
  /** Smallest table size in the last SETTINGS frame: a dip must be signalled too (RFC 7541, 4.2). */
  lowestHeaderTableSize: number;
  maxConcurrentStreams: number;
  initialWindowSize: number;
  maxHeaderListSize: number;
}

/** The settings before a peer has sent any. */
export function createPeerSettings(): PeerSettings {
  return {
    headerTableSize: 4096,
    lowestHeaderTableSize: 4096,
    maxConcurrentStreams: Number.POSITIVE_INFINITY,
    initialWindowSize: DEFAULT_WINDOW,
    maxHeaderListSize: Number.POSITIVE_INFINITY,
  };
}

const ENTRY_BYTES = 6;

/**
 * Applies the payload of a SETTINGS frame. Unknown settings are ignored (6.5.2).
 *
 * @throws Http2Error for a payload or a value that the RFC forbids.
 */
export function applySettings(
  settings: PeerSettings,
  buffer: Buffer,
  start: number,
  end: number,
  fromServer: boolean,
): void {
  if ((end - start) % ENTRY_BYTES !== 0) {
    throw new Http2Error(ErrorCode.frameSizeError, "SETTINGS length is not a multiple of 6");
  }
  settings.lowestHeaderTableSize = Number.POSITIVE_INFINITY;
  for (let position = start; position < end; position += ENTRY_BYTES) {
    const value = readU32(buffer, position + 2);
    switch (readU16(buffer, position)) {
      case SettingId.headerTableSize:
        settings.headerTableSize = value;
        settings.lowestHeaderTableSize = Math.min(settings.lowestHeaderTableSize, value);
        break;
      case SettingId.enablePush:
        if (value > 1 || (fromServer && value === 1)) {
          throw new Http2Error(ErrorCode.protocolError, "invalid SETTINGS_ENABLE_PUSH");
        }
        break;
      case SettingId.maxConcurrentStreams:
        settings.maxConcurrentStreams = value;
        break;
      case SettingId.initialWindowSize:
        if (value > MAX_WINDOW) {
          throw new Http2Error(ErrorCode.flowControlError, "SETTINGS_INITIAL_WINDOW_SIZE is too large");
        }
        settings.initialWindowSize = value;
        break;
      case SettingId.maxFrameSize:
        if (value < 16_384 || value > 16_777_215) {
          throw new Http2Error(ErrorCode.protocolError, "invalid SETTINGS_MAX_FRAME_SIZE");
        }
        break;
      case SettingId.maxHeaderListSize:
        settings.maxHeaderListSize = value;
        break;
      default:
        break;
    }
  }
  settings.lowestHeaderTableSize = Math.min(settings.lowestHeaderTableSize, settings.headerTableSize);
}

/** Encodes a whole SETTINGS frame. */
export function encodeSettings(entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + entries.length * ENTRY_BYTES);
  writeFrameHeader(frame, 0, entries.length * ENTRY_BYTES, FrameType.settings, 0, 0);
  let position = FRAME_HEADER_BYTES;
  for (const [id, value] of entries) {
    frame[position] = id >>> 8;
    frame[position + 1] = id;
    writeU32(frame, position + 2, value);
    position += ENTRY_BYTES;
  }
  return frame;
}
