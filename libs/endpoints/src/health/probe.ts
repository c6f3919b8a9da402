import type { Endpoint } from "../endpoint.ts";

/** What a member says of itself and its cluster. */
export interface MemberStatus {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** 0 while there is none. */
  readonly leaderId: bigint;
  readonly raftTerm: bigint;
  /** `3.5.30`; empty where it is not told. */
  readonly version: string;
}

/** What one look at an endpoint found. The texts go into logs. */
export type ProbeResult =
  /**
   * `member` where the look was one at an etcd member that told about itself; `isGuarded` where etcd said that it tells users
   * only, as releases after 3.4 do with auth on.
   */
  | { readonly t: "alive"; readonly member?: MemberStatus; readonly isGuarded?: true }
  /** Connected, but no sign of life before the signal fired. */
  | { readonly t: "silent"; readonly error: string }
  /** Refused, reset, no route, or it says itself that it must not be used; then with its cluster, where it names one. */
  | { readonly t: "unreachable"; readonly error: string; readonly clusterId?: bigint };

/**
 * Looks at an endpoint once. Never rejects; settles soon after `signal` fires (which means: time is up) and leaves no
 * connection behind.
 */
export type Probe = (endpoint: Endpoint, signal: AbortSignal) => Promise<ProbeResult>;

/**
 * True for errors that speak about this host rather than the endpoint: no file descriptors, no local ports, no memory.
 * They must not eject anybody.
 */
export function isLocalError(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return (
    code === "EMFILE" ||
    code === "ENFILE" ||
    code === "EADDRNOTAVAIL" ||
    code === "ENOBUFS" ||
    code === "ENOMEM"
  );
}
