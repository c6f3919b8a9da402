import { quoteJson, quoteJsonForHtml } from "../json/go-quote.ts";
import type { JsonProfile } from "../profile/json-profile.ts";
import type { Failure } from "./failure.ts";
import { httpStatusOf, httpStatusText } from "./http-status.ts";

/** The body of a failed unary call, or of a stream that failed before it was opened upstream. */
function unaryErrorBody(profile: JsonProfile, failure: Failure): string {
  const { status } = failure;
  switch (profile.errorShape) {
    case "code-message":
      return `{"code":${status},"message":${quoteJson(failure.message)}}`;
    case "error-code-message": {
      const text = quoteJsonForHtml(failure.message);
      return `{"error":${text},"code":${status},"message":${text}}`;
    }
    case "error-message-code": {
      const text = quoteJsonForHtml(failure.message);
      return `{"error":${text},"message":${text},"code":${status}}`;
    }
    default:
      return profile.errorShape satisfies never;
  }
}

/** The last line of a stream that failed, its newline included where the profile has one. */
export function streamErrorBody(profile: JsonProfile, failure: Failure): string {
  const text = quoteJsonForHtml(failure.message);
  if (profile.generation === "v2") return `{"error":{"code":${failure.status},"message":${text}}}\n`;
  const status = failure.httpStatus ?? httpStatusOf(profile, failure.status);
  const reason = quoteJsonForHtml(httpStatusText(status));
  return `{"error":{"grpc_code":${failure.status},"http_code":${status},"message":${text},"http_status":${reason}}}`;
}

/**
 * The whole body of a failed call of which nothing was sent yet.
 *
 * In the first generation a stream that fails before the server said anything (a deadline, no connection) looks like a
 * failed unary call; one that the server refused looks like a stream that failed.
 */
export function failedCallBody(profile: JsonProfile, failure: Failure, shape: "unary" | "stream"): string {
  const asUnary = shape === "unary" || (profile.generation === "v1" && failure.origin === "local");
  return asUnary ? unaryErrorBody(profile, failure) : streamErrorBody(profile, failure);
}

/** An answer that needs no call: an unknown path or a wrong method. */
export interface RoutingError {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const plainText = "text/plain; charset=utf-8";

/** The answer to a path that is no route. */
export function notFound(profile: JsonProfile): RoutingError {
  return profile.generation === "v2"
    ? { status: 404, contentType: "application/json", body: '{"code":5,"message":"Not Found"}' }
    : { status: 404, contentType: plainText, body: "Not Found\n" };
}

/** The answer to a route asked by anything but POST. */
export function methodNotAllowed(profile: JsonProfile): RoutingError {
  return profile.generation === "v2"
    ? { status: 501, contentType: "application/json", body: '{"code":12,"message":"Method Not Allowed"}' }
    : { status: 405, contentType: plainText, body: "Method Not Allowed\n" };
}
