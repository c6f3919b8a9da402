import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type ServerHttp2Stream } from "node:http2";
import type { Reply } from "../door/reply.ts";
import type { JsonProfile } from "../profile/json-profile.ts";
import type { Metadata } from "../upstream/upstream.ts";
import { drained } from "./drained.ts";
import { streamErrorBody } from "./error-body.ts";
import { toFailedAnswer } from "./failed-answer.ts";
import type { Failure } from "./failure.ts";
import { toResponseHeaders, toUnaryHeaders } from "./response-headers.ts";
import { startAnswer } from "./start-answer.ts";

export interface HttpReplyOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly profile: JsonProfile;
  /** Headers that every answer of this request carries: name, value, name, value. */
  readonly baseHeaders: readonly string[];
  /** Of HTTP/2 a stream that takes nothing of its answer for this long is cut, in milliseconds. */
  readonly writeTimeoutMs: number;
}

/** nginx and its like hold back what they may: a stream would come in lumps, or at its end. */
const streamHeaders: readonly string[] = [
  "X-Accel-Buffering",
  "no",
  "Cache-Control",
  "no-cache, no-transform",
];

/** Answers a call over HTTP/1.1 with status, headers and framing of etcd's JSON door. */
export class HttpReply implements Reply {
  readonly #options: HttpReplyOptions;

  constructor(options: HttpReplyOptions) {
    this.#options = options;
  }

  unary(text: string, headers: Metadata): void {
    const { response, baseHeaders } = this.#options;
    const length = String(Buffer.byteLength(text));
    startAnswer(response, 200, [...toUnaryHeaders(baseHeaders, headers), "Content-Length", length]);
    this.#limitWriting();
    response.end(text);
  }

  async part(text: string, headers: Metadata): Promise<void> {
    const { response, baseHeaders } = this.#options;
    if (!response.headersSent) {
      const contentType = ["Content-Type", "application/json"];
      const framing = ["Transfer-Encoding", "chunked"];
      startAnswer(response, 200, [...baseHeaders, ...contentType, ...toResponseHeaders(headers), ...framing]);
      this.#limitWriting();
    }
    if (!response.write(text)) await drained(response);
  }

  breakOff(): void {
    // Without the last chunk: nobody takes what came for the whole.
    this.#options.response.destroy();
  }

  async frame(text: string, headers: Metadata): Promise<void> {
    if (!this.line(`${text}\n`, headers)) await drained(this.#options.response);
  }

  get isIdle(): boolean {
    return !this.#options.response.writableNeedDrain;
  }

  onDrain(listener: () => void): void {
    this.#options.response.on("drain", listener);
  }

  line(line: Buffer | string, headers: Metadata): boolean {
    const { response, baseHeaders } = this.#options;
    if (!response.headersSent) {
      startAnswer(response, 200, [
        ...baseHeaders,
        "Content-Type",
        "application/json",
        ...toResponseHeaders(headers),
        ...streamHeaders,
        "Transfer-Encoding",
        "chunked",
      ]);
    }
    return response.write(line);
  }

  end(): void {
    const { response, profile, baseHeaders } = this.#options;
    if (!response.headersSent) {
      // The second generation names a content type only with the first frame.
      const contentType = profile.generation === "v1" ? ["Content-Type", "application/json"] : [];
      startAnswer(response, 200, [...baseHeaders, ...contentType, "Transfer-Encoding", "chunked"]);
    }
    this.#limitWriting();
    response.end();
  }

  fail(failure: Failure, shape: "unary" | "stream"): void {
    const { response, profile, baseHeaders } = this.#options;
    if (response.writableEnded) return;
    this.#limitWriting();
    if (response.headersSent) {
      response.end(streamErrorBody(profile, failure));
      return;
    }
    const { status, headers, body, trailers } = toFailedAnswer(failure, shape, {
      profile,
      baseHeaders,
      requestHeaders: this.#options.request.headers,
    });
    startAnswer(response, status, headers);
    if (trailers !== undefined) response.addTrailers(trailers);
    response.end(body);
  }

  /** Connections of HTTP/1.1 are looked after as a whole: see StalledSockets. */
  #limitWriting(): void {
    const { response, writeTimeoutMs } = this.#options;
    if (response.req.httpVersionMajor < 2) return;
    const { stream } = response as unknown as { stream: ServerHttp2Stream };
    stream.setTimeout(writeTimeoutMs, () => stream.close(constants.NGHTTP2_CANCEL));
  }
}
