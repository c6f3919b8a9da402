import { GrpcStatus } from "@etcd-edge/proto";
import type { JsonProfile } from "../profile/json-profile.ts";
import { wantsProblems } from "./call-style.ts";
import { failedCallBody } from "./error-body.ts";
import type { Failure } from "./failure.ts";
import { httpStatusOf } from "./http-status.ts";
import { problemBody, problemType } from "./problem.ts";

/** The whole answer to a call that failed before anything was sent. */
export interface FailedAnswer {
  readonly status: number;
  /** Name, value, name, value; how the body is framed is among them. */
  readonly headers: readonly string[];
  readonly body: string;
  /** Where there are some the body is sent in chunks. */
  readonly trailers: Readonly<Record<string, string>> | undefined;
}

const trailerName = "Grpc-Trailer-Content-Type";

/**
 * @param shape `unary` for errors found before a stream was opened
 * @param asked what of the request the answer hangs on
 */
export function toFailedAnswer(
  failure: Failure,
  shape: "unary" | "stream",
  asked: {
    readonly profile: JsonProfile;
    readonly baseHeaders: readonly string[];
    readonly requestHeaders: Readonly<Record<string, string | string[] | undefined>>;
  },
): FailedAnswer {
  const { profile, baseHeaders, requestHeaders } = asked;
  const status = failure.httpStatus ?? httpStatusOf(profile, failure.status);
  const problems = wantsProblems(requestHeaders);
  const body = problems ? problemBody(failure, status) : failedCallBody(profile, failure, shape);
  const headers = [...baseHeaders, "Content-Type", problems ? problemType : "application/json"];
  if (profile.generation === "v2" && failure.status === GrpcStatus.UNAUTHENTICATED) {
    if (/^[\x20-\x7e]*$/.test(failure.message)) headers.push("Www-Authenticate", failure.message);
  }
  // The rest of a body that was cut off is not read: the connection cannot be used again.
  if (status === 413 || status === 408) headers.push("Connection", "close");
  if (failure.retryAfterSeconds !== undefined) headers.push("Retry-After", String(failure.retryAfterSeconds));
  if (shape === "unary" && failure.origin === "server" && sendsTrailers(profile, requestHeaders["te"])) {
    headers.push("Trailer", trailerName, "Transfer-Encoding", "chunked");
    return { status, headers, body, trailers: { [trailerName]: "application/grpc" } };
  }
  const length = ["Content-Length", String(Buffer.byteLength(body))];
  const framing = shape === "unary" ? length : ["Transfer-Encoding", "chunked"];
  return { status, headers: [...headers, ...framing], body, trailers: undefined };
}

function sendsTrailers(profile: JsonProfile, te: string | string[] | undefined): boolean {
  return /\btrailers\b/i.test(String(te ?? "")) || profile.errorShape === "error-message-code";
}
