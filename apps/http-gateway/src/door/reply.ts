import type { Failure } from "../http/failure.ts";
import type { Metadata } from "../upstream/upstream.ts";

/**
 * How the answer of one call leaves: over HTTP or as messages of a WebSocket. Either `unary` or `fail` once, or any
 * number of frames and then `end` or `fail`, or any number of parts and then `end` or `breakOff`.
 */
export interface Reply {
  /** The JSON text of the one answer. */
  unary(text: string, headers: Metadata): void;
  /** Some of the JSON text of the one answer, which is long. Resolves when the peer takes more. */
  part(text: string, headers: Metadata): Promise<void>;
  /** The one answer cannot be finished: what came of it is not to be taken for the whole. */
  breakOff(): void;
  /** One message of a stream, without its newline. Resolves when the peer takes more. */
  frame(text: string, headers: Metadata): Promise<void>;
  /**
   * One message of a stream as bytes, with its newline, at once.
   * @returns whether the peer takes more now; `onDrain` tells when it does again
   */
  line(line: Buffer, headers: Metadata): boolean;
  /** Whether nothing waits for the peer to take it. */
  readonly isIdle: boolean;
  onDrain(listener: () => void): void;
  /** A good end of a stream. */
  end(): void;
  /**
   * The end of a call that failed. `unary` is the shape of errors found before a stream was opened; a stream that
   * ran has another.
   */
  fail(failure: Failure, shape: "unary" | "stream"): void;
}
