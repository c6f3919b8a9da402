import { Buffer } from "node:buffer";
import { HpackEncoder, Indexing } from "../../src/hpack/encoder.ts";
import { writeFrameHeader } from "../../src/http2/bytes.ts";
import { FrameType } from "../../src/http2/constants.ts";

/** Frames for scripted peers, legal or not: nothing is checked here. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  writeFrameHeader(bytes, 0, payload.length, type, flags, streamId);
  bytes.set(payload, 9);
  return bytes;
}

export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => {
    bytes.writeUInt32BE(value >>> 0, i * 4);
  });
  return bytes;
}

export function settings(...entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(entries.length * 6);
  entries.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  });
  return frame(FrameType.settings, 0, 0, payload);
}

export const settingsAck: Buffer = frame(FrameType.settings, 1, 0);

export const ping = (text = "12345678", flags = 0): Buffer =>
  frame(FrameType.ping, flags, 0, Buffer.from(text));

export const data = (streamId: number, payload: Uint8Array | string, endStream = false): Buffer =>
  frame(
    FrameType.data,
    endStream ? 1 : 0,
    streamId,
    typeof payload === "string" ? Buffer.from(payload) : payload,
  );

export const rst = (streamId: number, code: number): Buffer =>
  frame(FrameType.rstStream, 0, streamId, u32(code));

export const windowUpdate = (streamId: number, increment: number): Buffer =>
  frame(FrameType.windowUpdate, 0, streamId, u32(increment));

export const goaway = (lastStreamId: number, code: number, debug = ""): Buffer =>
  frame(FrameType.goaway, 0, 0, Buffer.concat([u32(lastStreamId, code), Buffer.from(debug)]));

/** One gRPC message with its prefix. */
export function message(payload: Uint8Array | string): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload) : payload;
  return Buffer.concat([Buffer.of(0), u32(body.length), body]);
}

export type Pairs = readonly (readonly [name: string, value: string])[];

/** A header block of plain literals: changes no table. */
export function block(pairs: Pairs): Buffer {
  const encoder = new HpackEncoder(4096);
  const bytes = Buffer.alloc(pairs.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 32));
  let position = 0;
  for (const [name, value] of pairs)
    position = encoder.encode(bytes, position, name, value, Indexing.without);
  return bytes.subarray(0, position);
}

export const requestHeaders: Pairs = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/test.Service/Method"],
  [":authority", "localhost"],
  ["content-type", "application/grpc"],
  ["te", "trailers"],
];

/** HEADERS with END_HEADERS. */
export function headers(streamId: number, pairs: Pairs = requestHeaders, endStream = false): Buffer {
  return frame(FrameType.headers, 4 | (endStream ? 1 : 0), streamId, block(pairs));
}

/** A whole unary request. */
export function unaryRequest(streamId: number, payload = "hello", pairs: Pairs = requestHeaders): Buffer {
  return Buffer.concat([headers(streamId, pairs), data(streamId, message(payload), true)]);
}

/** What a server answers a unary call with. */
export function unaryAnswer(streamId: number, payload = "hello", status = "0"): Buffer {
  return Buffer.concat([
    headers(streamId, [
      [":status", "200"],
      ["content-type", "application/grpc"],
    ]),
    data(streamId, message(payload)),
    headers(streamId, [["grpc-status", status]], true),
  ]);
}
