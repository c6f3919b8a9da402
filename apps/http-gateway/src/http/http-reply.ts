import type { ServerResponse } from "node:http";
import { GrpcStatus } from "@etcd-edge/proto";
import type { Reply } from "../door/reply.ts";
import type { JsonProfile } from "../profile/json-profile.ts";
import type { Metadata } from "../upstream/upstream.ts";
import { drained } from "./drained.ts";
import { failedCallBody, streamErrorBody } from "./error-body.ts";
import type { Failure } from "./failure.ts";
import { httpStatusOf } from "./http-status.ts";

export interface HttpReplyOptions {
  readonly response: ServerResponse;
  readonly profile: JsonProfile;
  /** Headers that every answer of this request carries: name, value, name, value. */
  readonly baseHeaders: readonly string[];
  /** Whether the request has `TE: trailers`. */
  readonly wantsTrailers: boolean;
}

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
    response.writeHead(200, [
      ...baseHeaders,
      "Content-Type",
      "application/json",
      ...toResponseHeaders(headers),
      "Content-Length",
      length,
    ]);
    response.end(text);
  }

  async frame(text: string, headers: Metadata): Promise<void> {
    const { response, baseHeaders } = this.#options;
    if (!response.headersSent) {
      response.writeHead(200, [
        ...baseHeaders,
        "Content-Type",
        "application/json",
        ...toResponseHeaders(headers),
        "Transfer-Encoding",
        "chunked",
      ]);
    }
    if (!response.write(`${text}\n`)) await drained(response);
  }

  end(): void {
    const { response, profile, baseHeaders } = this.#options;
    if (!response.headersSent) {
      // The second generation names a content type only with the first frame.
      const contentType = profile.generation === "v1" ? ["Content-Type", "application/json"] : [];
      response.writeHead(200, [...baseHeaders, ...contentType, "Transfer-Encoding", "chunked"]);
    }
    response.end();
  }

  fail(failure: Failure, shape: "unary" | "stream"): void {
    const { response, profile, baseHeaders } = this.#options;
    if (response.writableEnded) return;
    if (response.headersSent) {
      response.end(streamErrorBody(profile, failure));
      return;
    }
    const status = failure.httpStatus ?? httpStatusOf(profile, failure.status);
    const body = failedCallBody(profile, failure, shape);
    const headers = [...baseHeaders, "Content-Type", "application/json"];
    if (profile.generation === "v2" && failure.status === GrpcStatus.UNAUTHENTICATED) {
      if (/^[\x20-\x7e]*$/.test(failure.message)) headers.push("Www-Authenticate", failure.message);
    }
    // The rest of a body that was cut off is not read: the connection cannot be used again.
    if (failure.httpStatus === 413) headers.push("Connection", "close");
    if (shape === "unary" && failure.origin === "server" && this.#sendsTrailers()) {
      headers.push("Trailer", trailerName, "Transfer-Encoding", "chunked");
      response.writeHead(status, headers);
      response.addTrailers({ [trailerName]: "application/grpc" });
    } else {
      const length = ["Content-Length", String(Buffer.byteLength(body))];
      const framing = shape === "unary" ? length : ["Transfer-Encoding", "chunked"];
      response.writeHead(status, [...headers, ...framing]);
    }
    response.end(body);
  }

  #sendsTrailers(): boolean {
    return this.#options.wantsTrailers || this.#options.profile.errorShape === "error-message-code";
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
