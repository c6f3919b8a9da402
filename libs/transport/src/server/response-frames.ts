import { Buffer } from "node:buffer";
import { encodeStateless } from "../hpack/encoder.ts";
import { writeFrameHeader } from "../http2/bytes.ts";
import { Flag, FRAME_HEADER_BYTES, FrameType } from "../http2/constants.ts";

/** Value of `content-type` in every answer. */
export const CONTENT_TYPE = "application/grpc";

function encodeConstant(fields: readonly (readonly [name: string, value: string])[], flags: number): Buffer {
  const frame = Buffer.alloc(256);
  let position = FRAME_HEADER_BYTES;
  for (const [name, value] of fields) position = encodeStateless(frame, position, name, value);
  writeFrameHeader(frame, 0, position - FRAME_HEADER_BYTES, FrameType.headers, flags, 0);
  return Buffer.from(frame.subarray(0, position));
}

/** HEADERS of a response without metadata; the stream identifier is to be patched in. */
export const PLAIN_HEADERS: Buffer = encodeConstant(
  [
    [":status", "200"],
    ["content-type", CONTENT_TYPE],
  ],
  Flag.endHeaders,
);

/** Trailers of a call that ended well, without metadata. */
export const OK_TRAILERS: Buffer = encodeConstant([["grpc-status", "0"]], Flag.endHeaders | Flag.endStream);
