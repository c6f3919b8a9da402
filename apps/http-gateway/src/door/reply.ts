import type { Failure } from "../http/failure.ts";
import type { Metadata } from "../upstream/upstream.ts";

/**
 * How the answer of one call leaves: over HTTP or as messages of a WebSocket. Either `unary` or `fail` once, or any
 * number of frames and then `end` or `fail`.
 */
export interface Reply {
  /** The JSON text of the one answer. */
  unary(text: string, headers: Metadata): void;
  /** One message of a stream, without its newline. Resolves when the peer takes more. */
  frame(text: string, headers: Metadata): Promise<void>;
  /** A good end of a stream. */
  end(): void;
  /**
   * The end of a call that failed. `unary` is the shape of errors found before a stream was opened; a stream that
   * ran has another.
   */
  fail(failure: Failure, shape: "unary" | "stream"): void;
}
