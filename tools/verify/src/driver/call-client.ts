import type { DescMessage, GrpcJsMethod, MessageInitShape, MessageShape } from "@etcd-edge/proto";

/** Whatever calls etcd for an actor: over gRPC, or over HTTP. */
export interface CallClient {
  /** The user, where it is one who may do some things only. */
  readonly limitedUser: string | undefined;
  /** Never retried but with a new token. @throws an error with a gRPC `code` and `details` */
  ask<I extends DescMessage, O extends DescMessage>(
    method: GrpcJsMethod<I, O>,
    request: MessageInitShape<I>,
    timeoutMs?: number,
  ): Promise<MessageShape<O>>;
  /** The next call gets a new token. */
  forgetToken(): void;
  /** Draws the lesson of a call that failed: another endpoint, another token. */
  noteFailure(error: unknown): void;
}
