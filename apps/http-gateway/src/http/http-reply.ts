import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type ServerHttp2Stream } from "node:http2";
import { GrpcStatus } from "@etcd-edge/proto";
import type { Reply } from "../door/reply.ts";
import type { JsonProfile } from "../profile/json-profile.ts";
import type { Metadata } from "../upstream/upstream.ts";
import { wantsProblems } from "./call-style.ts";
import { drained } from "./drained.ts";
import { failedCallBody, streamErrorBody } from "./error-body.ts";
import type { Failure } from "./failure.ts";
import { httpStatusOf } from "./http-status.ts";
import { problemBody, problemType } from "./problem.ts";
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

const trailerName = "Grpc-Trailer-Content-Type";

/** Answers a call over HTTP/1.1 with status, headers and framing of etcd's JSON door. */
export class HttpReply implements Reply {
  readonly #options: HttpReplyOptions;

  constructor(options: HttpReplyOptions) {
    this.#options = options;
  }

  unary(text: string, headers: Metadata): void {
    const { response, baseHeaders } = this.#options;
    const length = String(Buffer.byteLength(text));
    startAnswer(response, 200, [
      ...baseHeaders,
      "Content-Type",
      "application/json",
      ...toResponseHeaders(headers),
      "Content-Length",
      length,
    ]);
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
    const status = failure.httpStatus ?? httpStatusOf(profile, failure.status);
    const problems = wantsProblems(this.#options.request.headers);
    const body = problems ? problemBody(failure, status) : failedCallBody(profile, failure, shape);
    const headers = [...baseHeaders, "Content-Type", problems ? problemType : "application/json"];
    if (profile.generation === "v2" && failure.status === GrpcStatus.UNAUTHENTICATED) {
      if (/^[\x20-\x7e]*$/.test(failure.message)) headers.push("Www-Authenticate", failure.message);
    }
    // The rest of a body that was cut off is not read: the connection cannot be used again.
    if (status === 413 || status === 408) headers.push("Connection", "close");
    if (failure.retryAfterSeconds !== undefined)
      headers.push("Retry-After", String(failure.retryAfterSeconds));
    if (shape === "unary" && failure.origin === "server" && this.#sendsTrailers()) {
      headers.push("Trailer", trailerName, "Transfer-Encoding", "chunked");
      startAnswer(response, status, headers);
      response.addTrailers({ [trailerName]: "application/grpc" });
    } else {
      const length = ["Content-Length", String(Buffer.byteLength(body))];
      const framing = shape === "unary" ? length : ["Transfer-Encoding", "chunked"];
      startAnswer(response, status, [...headers, ...framing]);
    }
    response.end(body);
  }

  /** Connections of HTTP/1.1 are looked after as a whole: see StalledSockets. */
  #limitWriting(): void {
    const { response, writeTimeoutMs } = this.#options;
    if (response.req.httpVersionMajor < 2) return;
    const { stream } = response as unknown as { stream: ServerHttp2Stream };
    stream.setTimeout(writeTimeoutMs, () => stream.close(constants.NGHTTP2_CANCEL));
  }

  #sendsTrailers(): boolean {
    const { te = "" } = this.#options.request.headers;
    return /\btrailers\b/i.test(String(te)) || this.#options.profile.errorShape === "error-message-code";
  }
}

/** Response metadata `k` becomes the header `Grpc-Metadata-k`, spelled as Go spells headers. */
function toResponseHeaders(metadata: Metadata): string[] {
  // All that etcd ever sends.
  if (metadata.length === 2 && metadata[0] === "content-type" && metadata[1] === "application/grpc") {
    return ["Grpc-Metadata-Content-Type", "application/grpc"];
  }
  const headers: string[] = [];
  for (let i = 0; i < metadata.length; i += 2) {
    const name = (metadata[i] ?? "").replace(/(^|-)([a-z])/g, (found) => found.toUpperCase());
    headers.push(`Grpc-Metadata-${name}`, metadata[i + 1] ?? "");
  }
  return headers;
}
