import type { RawMetadata } from "./metadata.ts";

/** How a call ended, as gRPC says it. */
export interface Status {
  /** 0 to 16, or whatever number a peer made up. */
  readonly code: number;
  /** Any text; percent-encoding is done here. */
  readonly message?: string;
  /** Trailing metadata, `grpc-status-details-bin` included. */
  readonly metadata?: RawMetadata;
}

/** Why a server call is over though the handler has not ended it. */
export type CancelReason =
  /** The client reset the stream; `code` is of RFC 9113, section 7 (8, CANCEL, is the usual one). */
  | { readonly t: "reset"; readonly code: number }
  | { readonly t: "connectionLost"; readonly message: string }
  /** `grpc-timeout` ran out; the client is answered 4 unless the sink ends the call itself. */
  | { readonly t: "deadline" }
  /** The client broke a rule or a limit; it has been answered with this status, or its stream was reset. */
  | { readonly t: "rejected"; readonly code: number; readonly message: string };
