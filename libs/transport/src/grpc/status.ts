/** The status codes of gRPC. */
export const StatusCode = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** Status of a response that is not gRPC, by its HTTP status (gRPC repository, doc/http-grpc-status-mapping.md). */
export function statusFromHttp(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return StatusCode.internal;
    case 401:
      return StatusCode.unauthenticated;
    case 403:
      return StatusCode.permissionDenied;
    case 404:
      return StatusCode.unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return StatusCode.unavailable;
    default:
      return StatusCode.unknown;
  }
}

/** Status of a stream that was reset, by the code of RST_STREAM (gRPC repository, doc/PROTOCOL-HTTP2.md, Errors). */
export function statusFromReset(errorCode: number): number {
  switch (errorCode) {
    case 7:
      return StatusCode.unavailable;
    case 8:
      return StatusCode.cancelled;
    case 11:
      return StatusCode.resourceExhausted;
    case 12:
      return StatusCode.permissionDenied;
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 6:
    case 9:
    case 10:
      return StatusCode.internal;
    default:
      return StatusCode.unknown;
  }
}
