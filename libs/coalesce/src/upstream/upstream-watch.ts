import type { EventView, HeaderView } from "@etcd-edge/proto";
import type { KeyRange } from "../range/key-range.ts";
import type { VersionGates } from "./version-gates.ts";

/** A watch that we ask an etcd for. Fragments are always asked for (rule 19), and a leader (rule 16). */
export interface UpstreamWatchRequest {
  readonly range: KeyRange;
  /** At least 1: a start that etcd would turn into "now" is never asked for (rule 1). */
  readonly startRevision: bigint;
  /** What is known already: events up to here are of no use. At `startRevision`, or one below. */
  readonly coverage: bigint;
  readonly prevKv: boolean;
  /** On a stream that no other watch uses: for what is behind (rule 21). */
  readonly isAlone: boolean;
  /** The member that is not wanted, if there is another. */
  readonly avoid: string | undefined;
  /** The member that is wanted. Another takes its place if it is gone. */
  readonly toward: string | undefined;
  /** Where it is to come from: etcd itself, or another replica's watch there; nothing leaves that open. */
  readonly via: Via | undefined;
}

/** Where a watch comes from: etcd itself, or another replica that has it (the fabric). */
export type Via = "etcd" | "fabric";

/** How a watch at etcd ended. */
export type UpstreamEnd =
  | { readonly t: "compacted"; readonly compactRevision: bigint }
  /** etcd cancelled it and said why, in its own words. */
  | { readonly t: "refused"; readonly reason: string }
  /** Its stream is gone. `code` and `message` are gRPC's. */
  | { readonly t: "lost"; readonly code: number; readonly message: string }
  /** Another replica has it no more, or has not all of it; `needsEtcd` if only etcd has what is missing. */
  | { readonly t: "ceded"; readonly needsEtcd: boolean };

/** Takes what one upstream watch says. After `onEnd`, and after `cancel`, nothing comes any more. */
export interface UpstreamWatchSink {
  onCreated(header: HeaderView): void;
  /** @param isFragment more of the same response follows (rule 19) */
  onEvents(events: readonly EventView[], isFragment: boolean, header: HeaderView): void;
  /** Every event up to `revision` has been handed out. Only what may be trusted so comes here (rules 2, 4). */
  onProgress(revision: bigint): void;
  /** Never called from inside `open`. */
  onEnd(end: UpstreamEnd): void;
}

/** A watch at etcd, under way. */
export interface UpstreamWatch {
  readonly via: Via;
  /** Which member it is on; equal strings are the same member. */
  readonly member: string;
  /** By the version of the etcd at the other end of this very connection. */
  readonly gates: VersionGates;
  /** Equal for watches on the same stream. */
  readonly streamId: string;
  /** Asks for a progress answer, for all watches of its stream. Nothing where such answers cannot be trusted. */
  requestProgress(): void;
  cancel(): void;
}

/** Opens watches at etcd. */
export interface WatchSource {
  open(request: UpstreamWatchRequest, sink: UpstreamWatchSink): UpstreamWatch;
}
