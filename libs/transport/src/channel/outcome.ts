import type { RawMetadata } from "../grpc/metadata.ts";

/**
 * How far a failed call got, which decides whether it may be sent again (rule 39):
 * - `notSent`: no byte of it reached a socket. Safe to send again.
 * - `refused`: the server said REFUSED_STREAM, or its GOAWAY excluded the stream. It did not look at the call. Safe.
 * - `sent`: it may have been carried out. Only reads may be sent again, once.
 * - `answered`: the server itself sent this status.
 */
export type Progress = "notSent" | "refused" | "sent" | "answered";

/** The end of a call that we made. */
export interface Outcome {
  readonly code: number;
  readonly message: string;
  /** Trailers; `grpc-status-details-bin` among them. */
  readonly metadata: RawMetadata;
  readonly progress: Progress;
}

/** Whether sending the call again cannot carry it out twice. */
export function isSafeToResend(outcome: Outcome): boolean {
  return outcome.progress === "notSent" || outcome.progress === "refused";
}

/** A call that did not end well, as an error. */
export class CallError extends Error implements Outcome {
  override readonly name = "CallError";
  readonly code: number;
  readonly metadata: RawMetadata;
  readonly progress: Progress;

  constructor(outcome: Outcome) {
    super(outcome.message);
    this.code = outcome.code;
    this.metadata = outcome.metadata;
    this.progress = outcome.progress;
  }
}
