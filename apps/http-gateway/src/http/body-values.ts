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

/** How far the next value of a body is. */
export type NextValue =
  | { readonly t: "value"; readonly value: JsonDocument }
  | { readonly t: "more" | "end" };

const more: NextValue = { t: "more" };
const end: NextValue = { t: "end" };

/**
 * The JSON values in the bytes of a body, as these come in. White space between values is optional, as in Go's decoder. What
 * stands behind the last value that was asked for is never looked at.
 */
export class BodyValues {
  readonly #maxValueBytes: number;
  readonly #limits: JsonLimits;
  #scanner: JsonScanner;
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(maxValueBytes: number, limits: JsonLimits) {
    this.#maxValueBytes = maxValueBytes;
    this.#limits = limits;
    this.#scanner = new JsonScanner(limits);
  }

  /** @throws BodyTooLargeError */
  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length > this.#maxValueBytes) throw new BodyTooLargeError(this.#maxValueBytes);
  }

  /** No more bytes come. */
  finish(): void {
    this.#ended = true;
  }

  /** @throws JsonInputError with Go's text, after which the rest of the body is not to be read */
  next(): NextValue {
    const result = this.#ended ? this.#scanner.finish() : this.#scanner.scan(this.#bytes);
    if (result.t === "error") throw new JsonInputError(result.message);
    if (result.t === "value") {
      const value = this.#bytes.subarray(result.start, result.end);
      this.#bytes = this.#bytes.subarray(result.end);
      this.#scanner = new JsonScanner(this.#limits);
      return { t: "value", value: parseJson(value) };
    }
    if (this.#ended) return end;
    // White space is not collected: a client may send any amount of it to keep a connection busy.
    if (this.#scanner.isBlank && this.#bytes.length > 0) {
      this.#bytes = Buffer.alloc(0);
      this.#scanner = new JsonScanner(this.#limits);
    }
    return more;
  }
}
