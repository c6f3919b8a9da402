import type { RangeShape } from "@etcd-edge/proto";
import type { LocalRead } from "./local-read.ts";

/** Whose reads may share an answer or a request: never those of different credentials (rule 28). */
export interface ReadScope {
  /** What etcd decides permission by; nothing for clients that show none. */
  readonly credential: string | undefined;
  /** The clients want an error, and no wait, where there is no leader. */
  readonly hasLeader: boolean;
  /** The credential is of an identity of ours: it travels on connections that carry no client's calls (rule 8). */
  readonly isOurs?: true;
}

/** Takes reads. */
export interface Reads {
  /**
   * Takes a read that shares what it costs with others of its scope.
   * @returns how to leave: cancelled, or out of time
   */
  read(scope: ReadScope, shape: RangeShape, read: SharedRead): () => void;
}

/** How a read failed, as gRPC says it. */
export interface ReadFailure {
  readonly code: number;
  readonly message: string;
  /** Trailers: name, value, name, value. */
  readonly metadata?: readonly string[];
}

/** How a request to a member ended. */
export type UpstreamEnd =
  | { readonly t: "answered"; readonly payload: Uint8Array }
  /** etcd's own error. */
  | { readonly t: "refused"; readonly failure: ReadFailure }
  /** It provably never reached etcd (rule 39). */
  | { readonly t: "unsent"; readonly failure: ReadFailure }
  /** The connection was lost, or something between broke, while it was in the air. */
  | { readonly t: "lost"; readonly failure: ReadFailure }
  /** Its deadline passed. */
  | { readonly t: "late"; readonly failure: ReadFailure };

/** One request to a member. */
export interface UpstreamRead {
  /** `range`: a RangeRequest; `txn`: a TxnRequest of nothing but RangeRequests. */
  readonly kind: "range" | "txn";
  readonly request: Uint8Array;
  readonly scope: ReadScope;
  /** It is one read that travels alone and may be large; there may be many at once. */
  readonly isLone: boolean;
  /** Whose turn it takes, of those who ask for the same, where the number of such requests is bounded. */
  readonly client: unknown;
  /** Of `Clock.nowMs`. */
  readonly deadlineMs: number;
}

/** The members, as far as reads go. `M` stands for one of them and is compared by identity. */
export interface ReadMembers<M> {
  /** Whose turn it is among those that are of use, but for `excluded`; nothing where there is none. */
  pick(excluded: ReadonlySet<M>): M | undefined;
  /** Whether a read-only Txn is safe there (rule 14). */
  takesTxn(member: M): boolean;
  /**
   * Sends a request. `onEnd` is called once, and not from inside `send`.
   * @returns how to give it up; `onEnd` is not called after that
   */
  send(member: M, read: UpstreamRead, onEnd: (end: UpstreamEnd) => void): () => void;
}

/** What a caller of `ReadHub.read` gets, once. */
export type ReadResult =
  /** The bytes of a RangeResponse, in two parts; others may get the same ones. */
  | {
      readonly t: "answered";
      readonly head: Uint8Array;
      readonly body: Uint8Array;
      /** Of the header in them. */
      readonly revision: bigint;
      /** From a range that is held here. */
      readonly isLocal?: true;
    }
  | { readonly t: "failed"; readonly failure: ReadFailure }
  /** It could not be shared: the caller asks etcd by itself, as if it had never been here. */
  | { readonly t: "aside" };

/** One caller's read. */
export interface SharedRead {
  /** A RangeRequest that `findShareable` lets through. Must not change. */
  readonly request: Uint8Array;
  /** The request's bytes as letters, where somebody has them already. */
  readonly key?: string;
  /** Of `Clock.nowMs`; the caller watches over it by itself, and leaves. */
  readonly deadlineMs: number | undefined;
  /** Who asks, where clients take turns: compared by identity. The credential if it is left out. */
  readonly client?: unknown;
  /** How it can be answered here, once a quorum has said how far the store is. */
  readonly local?: LocalRead | undefined;
  /** Not called from inside `ReadHub.read`, nor after leaving. */
  settle(result: ReadResult): void;
}
