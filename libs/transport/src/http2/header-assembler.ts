import { Buffer } from "node:buffer";
import type { TransportCounters } from "../counters.ts";
import { BlockMemo } from "../hpack/block-memo.ts";
import { HpackDecoder } from "../hpack/decoder.ts";
import { readU31 } from "./bytes.ts";
import { ErrorCode, Flag } from "./constants.ts";
import { HeaderList } from "./header-list.ts";
import { Http2Error } from "./http2-error.ts";
import type { ConnectionLimits } from "./limits.ts";

const PRIORITY_BYTES = 5;

/**
 * Puts header blocks together from HEADERS and CONTINUATION, and decodes them. A block in one frame, which is nearly
 * every block, is decoded where it lies.
 */
export class HeaderAssembler {
  /** Of the block that `finish` returned last, or that is open. */
  streamId = 0;
  endStream = false;
  /** The block's priority names its own stream, a stream error (RFC 7540, 5.3.1). */
  dependsOnItself = false;
  /** performance.now() when the open block began. */
  openedAt = 0;
  readonly #limits: ConnectionLimits;
  readonly #counters: TransportCounters;
  readonly #decoder: HpackDecoder = new HpackDecoder();
  readonly #memo: BlockMemo<HeaderList> = new BlockMemo();
  /** Fragments of the open block. */
  #fragments: Buffer[] | undefined = undefined;
  #fragmentBytes = 0;
  #finished: HeaderList | undefined = undefined;

  constructor(limits: ConnectionLimits, counters: TransportCounters) {
    this.#limits = limits;
    this.#counters = counters;
  }

  /** A block has begun and not ended: nothing but its CONTINUATION may come. */
  get isOpen(): boolean {
    return this.#fragments !== undefined;
  }

  /** Takes the payload of HEADERS. */
  begin(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    this.streamId = streamId;
    this.endStream = (flags & Flag.endStream) !== 0;
    this.dependsOnItself = false;
    let from = start;
    let to = end;
    if ((flags & Flag.padded) !== 0) {
      if (from === to) throw new Http2Error(ErrorCode.frameSizeError, "padded HEADERS without a pad length");
      to -= buffer[from++] as number;
    }
    if ((flags & Flag.priority) !== 0) {
      if (end - from < PRIORITY_BYTES) {
        throw new Http2Error(ErrorCode.frameSizeError, "HEADERS too short for its priority");
      }
      this.dependsOnItself = readU31(buffer, from) === streamId;
      from += PRIORITY_BYTES;
    }
    if (to < from) throw new Http2Error(ErrorCode.protocolError, "HEADERS padding exceeds frame");
    if ((flags & Flag.endHeaders) !== 0) {
      this.#finished = this.#decode(buffer, from, to);
      return;
    }
    this.openedAt = performance.now();
    this.#fragments = [];
    this.#fragmentBytes = 0;
    this.#addFragment(buffer, from, to);
  }

  /** Takes the payload of CONTINUATION. */
  continue(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    const fragments = this.#fragments;
    if (fragments === undefined || streamId !== this.streamId) {
      throw new Http2Error(ErrorCode.protocolError, "CONTINUATION without its HEADERS");
    }
    this.#addFragment(buffer, start, end);
    if ((flags & Flag.endHeaders) === 0) return;
    this.#fragments = undefined;
    this.#finished = this.#decode(Buffer.concat(fragments), 0, this.#fragmentBytes);
  }

  /** The block, once whole; clears it. */
  finish(): HeaderList | undefined {
    const finished = this.#finished;
    this.#finished = undefined;
    return finished;
  }

  #addFragment(buffer: Buffer, start: number, end: number): void {
    const fragments = this.#fragments as Buffer[];
    // HEADERS is the first fragment, so n CONTINUATIONs make n + 1.
    if (
      fragments.length > this.#limits.maxContinuationFrames ||
      this.#fragmentBytes + end - start > this.#limits.maxHeaderBlockBytes
    ) {
      this.#counters.continuationFloods++;
      throw new Http2Error(ErrorCode.enhanceYourCalm, "header block is too long");
    }
    fragments.push(Buffer.from(buffer.subarray(start, end)));
    this.#fragmentBytes += end - start;
  }

  #decode(buffer: Buffer, start: number, end: number): HeaderList {
    const { table } = this.#decoder;
    const generation = table.generation;
    const known = this.#memo.get(generation, buffer, start, end);
    if (known !== undefined) {
      this.#counters.headerMemoHits++;
      return known;
    }
    const list = new HeaderList(this.#limits.maxHeaderListBytes);
    this.#decoder.decode(buffer, start, end, list);
    this.#memo.set(generation, table.generation, buffer, start, end, list);
    return list;
  }
}
