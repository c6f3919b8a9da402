import { JsonInputError } from "../json/json-input-error.ts";
import { type JsonDocument, parseJson } from "../json/json-node.ts";
import { type JsonLimits, JsonScanner } from "../json/json-scanner.ts";

/** A JSON value that is longer than the limit. */
export class BodyTooLargeError extends Error {
  readonly code = "BODY_TOO_LARGE";

  constructor(limitBytes: number) {
    super(`request body is larger than the limit of ${limitBytes} bytes`);
    this.name = "BodyTooLargeError";
  }
}

/** Where bytes come from: the next chunk, or nothing at the end. */
export interface ChunkSource {
  next(): Promise<Buffer | undefined>;
}

/**
 * Reads the JSON values of a body one by one, as they come in. White space between them is optional, as in Go's
 * decoder. What stands behind the last value that was asked for is never looked at.
 */
export class ValueReader {
  readonly #source: ChunkSource;
  readonly #maxValueBytes: number;
  readonly #limits: JsonLimits;
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(source: ChunkSource, maxValueBytes: number, limits: JsonLimits) {
    this.#source = source;
    this.#maxValueBytes = maxValueBytes;
    this.#limits = limits;
  }

  /**
   * The next value, or nothing at the end of the body.
   * @throws JsonInputError with Go's text, after which the rest of the body is not to be read
   * @throws BodyTooLargeError
   */
  async next(): Promise<JsonDocument | undefined> {
    const scanner = new JsonScanner(this.#limits);
    for (;;) {
      const result = this.#ended ? scanner.finish() : scanner.scan(this.#bytes);
      if (result.t === "error") throw new JsonInputError(result.message);
      if (result.t === "value") {
        const value = this.#bytes.subarray(result.start, result.end);
        this.#bytes = this.#bytes.subarray(result.end);
        return parseJson(value);
      }
      if (this.#ended) return undefined;
      if (scanner.isBlank && this.#bytes.length > 0) return await this.#nextAfterSpace();
      await this.#readMore();
    }
  }

  /** White space is not collected: a client may send any amount of it to keep a connection busy. */
  async #nextAfterSpace(): Promise<JsonDocument | undefined> {
    this.#bytes = Buffer.alloc(0);
    await this.#readMore();
    return await this.next();
  }

  async #readMore(): Promise<void> {
    const chunk = await this.#source.next();
    if (chunk === undefined) {
      this.#ended = true;
      return;
    }
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length > this.#maxValueBytes) throw new BodyTooLargeError(this.#maxValueBytes);
  }
}
