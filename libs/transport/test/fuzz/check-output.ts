import { Buffer } from "node:buffer";
import { HpackDecoder } from "../../src/hpack/decoder.ts";
import { readU24, readU31 } from "../../src/http2/bytes.ts";
import { FrameType } from "../../src/http2/constants.ts";

const fixedLengths: Readonly<Record<number, number>> = {
  [FrameType.rstStream]: 4,
  [FrameType.ping]: 8,
  [FrameType.windowUpdate]: 4,
};

/** Checks what a connection wrote, whatever made it do so. @throws Error for the first thing that is not HTTP/2 */
export function checkOutput(bytes: Buffer): void {
  const decoder = new HpackDecoder();
  const ended = new Set<number>();
  let open: { id: number; parts: Buffer[] } | undefined;
  for (let at = 0; at < bytes.length; ) {
    const length = readU24(bytes, at);
    const type = bytes[at + 3] ?? -1;
    const flags = bytes[at + 4] ?? 0;
    const id = readU31(bytes, at + 5);
    const payload = bytes.subarray(at + 9, at + 9 + length);
    at += 9 + length;
    const expected = fixedLengths[type];
    if (payload.length !== length || length > 16_384)
      throw new Error(`frame of ${length} bytes is cut off or too long`);
    if (type > FrameType.continuation) throw new Error(`frame of type ${type}`);
    if (expected !== undefined && expected !== length)
      throw new Error(`frame of type ${type} with ${length} bytes`);
    if ((open !== undefined) !== (type === FrameType.continuation))
      throw new Error("header block is interrupted");
    const isStreamFrame = type === FrameType.data || type === FrameType.headers;
    if (isStreamFrame && ended.has(id)) throw new Error(`frame ${type} on stream ${id} after its end`);
    if (type === FrameType.rstStream || (isStreamFrame && (flags & 1) === 1)) ended.add(id);
    if (type === FrameType.headers) open = { id, parts: [] };
    if (open !== undefined) {
      open.parts.push(payload);
      if ((flags & 4) === 0) continue;
      const block = Buffer.concat(open.parts);
      decoder.decode(block, 0, block.length, {
        add: ({ name, valid }) => {
          if (!valid) throw new Error(`sent the invalid field ${name}`);
        },
      });
      open = undefined;
    }
  }
}
