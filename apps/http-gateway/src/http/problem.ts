import type { Failure } from "./failure.ts";
import { httpStatusText } from "./http-status.ts";

/** Media type of problem details (RFC 9457). */
export const problemType = "application/problem+json";

/**
 * The body of a failed call for clients that asked for problem details: the status, the text of etcd, the code of gRPC, and
 * where in the request the error is, where that is known. `errors` is formed as in RFC 9457 §3.
 */
export function problemBody(failure: Failure, status: number): string {
  const { message, place } = failure;
  return JSON.stringify({
    type: "about:blank",
    title: httpStatusText(status),
    status,
    detail: message,
    code: failure.status,
    ...(place === undefined ? {} : { errors: [{ ...place, detail: message }] }),
  });
}
