import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import {
  block,
  data,
  frame,
  goaway,
  headers,
  message,
  ping,
  requestHeaders,
  rst,
  settings,
  u32,
  windowUpdate,
} from "../../test/support/frames.ts";
import { createCounters } from "../counters.ts";
import { FrameType } from "./constants.ts";
import { FrameReader } from "./frame-reader.ts";
import { HeaderAssembler } from "./header-assembler.ts";
import { serverLimits } from "./limits.ts";

/** Feeds chunks through the reader and tells what came out, independent of where the chunks were cut. */
function readAll(chunks: readonly Buffer[]): string[] {
  const log: string[] = [];
  const assembler = new HeaderAssembler(serverLimits, createCounters());
  let body: Buffer[] = [];
  const reader = new FrameReader({
    onDataStart: (streamId, length) => {
      log.push(`data ${streamId} ${length}`);
      body = [];
    },
    onDataPiece: (buffer, start, end) => body.push(Buffer.from(buffer.subarray(start, end))),
    onDataEnd: (endStream) => log.push(`body ${Buffer.concat(body).toString("hex")} ${endStream}`),
    onFrame: (type, flags, streamId, buffer, start, end) => {
      log.push(`${type} ${flags} ${streamId} ${buffer.toString("hex", start, end)}`);
      if (type === FrameType.headers) assembler.begin(flags, streamId, buffer, start, end);
      if (type === FrameType.continuation) assembler.continue(flags, streamId, buffer, start, end);
      const list = assembler.finish();
      if (list !== undefined) log.push(JSON.stringify(list));
    },
  });
  for (const chunk of chunks) reader.read(chunk);
  expect(reader.isInsideFrame).toBe(false);
  return log;
}

const requestBlock = block(requestHeaders);
const padded = (type: number, flags: number, padLength: number, body: Buffer): Buffer =>
  frame(type, flags | 8, 1, Buffer.concat([Buffer.of(padLength), body, Buffer.alloc(padLength)]));

/** Every representation of RFC 7541, section 6, plain and Huffman-coded, with names from either table or literal. */
const representations: Readonly<Record<string, string>> = {
  "indexed, static": "83",
  "incremental, static name": "4405 2f70617468",
  "incremental, new name": "40 03782d61 0162",
  "indexed, dynamic": "be",
  "incremental, dynamic name": "7e 0163",
  "without indexing, static name": "04 022f61",
  "without indexing, long static name": "0f10 10 6170706c69636174696f6e2f67727063",
  "without indexing, new name": "00 03782d64 0165",
  "never indexed, static name": "1f08 0378797a",
  "never indexed, new name": "10 05746f6b656e 0131",
  "Huffman-coded name and value": "40 8825a849e95ba97d7f 8925a849e95bb8e8b4bf",
  "value of more than 127 bytes": `00 0161 7f01 ${"62".repeat(128)}`,
  "size updates": "20 3fe11f 82",
};

const frames: Readonly<Record<string, Buffer>> = {
  DATA: data(1, message("hello"), true),
  "empty DATA": data(1, "", true),
  "padded DATA": padded(FrameType.data, 1, 7, message("hello")),
  "DATA of nothing but padding": padded(FrameType.data, 0, 3, Buffer.alloc(0)),
  HEADERS: headers(1),
  "padded HEADERS with priority": padded(
    FrameType.headers,
    0x24,
    5,
    Buffer.concat([u32(3), Buffer.of(9), requestBlock]),
  ),
  "HEADERS and CONTINUATION": Buffer.concat([
    frame(FrameType.headers, 0, 1, requestBlock.subarray(0, 11)),
    frame(FrameType.continuation, 0, 1),
    frame(FrameType.continuation, 4, 1, requestBlock.subarray(11)),
  ]),
  PRIORITY: frame(FrameType.priority, 0, 1, Buffer.alloc(5)),
  RST_STREAM: rst(1, 8),
  SETTINGS: settings([1, 0], [4, 100]),
  "SETTINGS ACK": frame(FrameType.settings, 1, 0),
  PUSH_PROMISE: frame(FrameType.pushPromise, 4, 1, u32(2)),
  PING: ping(),
  GOAWAY: goaway(7, 0, "bye"),
  WINDOW_UPDATE: windowUpdate(0, 5),
  "unknown type": frame(0xfa, 0xff, 9, Buffer.from("whatever")),
  ...Object.fromEntries(
    Object.entries(representations).map(([name, hex]) => [
      `header block: ${name}`,
      // A dynamic reference needs something to refer to: the new name is inserted first.
      frame(
        FrameType.headers,
        4,
        1,
        Buffer.from((name.includes("dynamic") ? "4003782d610162" : "") + hex.replaceAll(" ", ""), "hex"),
      ),
    ]),
  ),
};

describe("every frame type and header representation, cut at every byte", () => {
  // Something after it shows that the reader found the end.
  it.each(Object.entries(frames))("%s", (_name, bytes) => {
    const stream = Buffer.concat([bytes, ping("theend!!")]);
    const whole = readAll([stream]);
    expect(whole.at(-1)).toContain(Buffer.from("theend!!").toString("hex"));
    for (let cut = 1; cut < stream.length; cut++) {
      expect(readAll([stream.subarray(0, cut), stream.subarray(cut)]), `cut at ${cut}`).toEqual(whole);
    }
    expect(readAll([...stream].map((byte) => Buffer.of(byte)))).toEqual(whole);
  });

  it("all of them in a row, in pieces of every size", () => {
    const stream = Buffer.concat(Object.values(frames));
    const whole = readAll([stream]);
    for (let size = 1; size <= 64; size++) {
      const chunks: Buffer[] = [];
      for (let at = 0; at < stream.length; at += size) chunks.push(stream.subarray(at, at + size));
      expect(readAll(chunks), `pieces of ${size}`).toEqual(whole);
    }
  });
});
