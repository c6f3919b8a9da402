import type { HeaderView } from "@etcd-edge/proto";
import type { KeyRange } from "../range/key-range.ts";
import { isRefusal } from "./probe-refusal.ts";
import type { WatchHub } from "./watch-hub.ts";

/** Where the watches of one credential may hang. */
export interface WatchDesk {
  /** Under the client's own credential: etcd itself decides what may be read. */
  readonly own: WatchHub;
  /** When it is clear whether there is an identity of ours: who comes at once must not miss it for good. */
  readonly ready?: Promise<void> | undefined;
  /** Under an identity of ours, shared with all whom `decide` lets; nothing where there is none, or not now. */
  readonly shared: WatchHub | undefined;
  /** The highest revision that either has seen. */
  readonly known: bigint;
  /**
   * Resolves where etcd lets the client's own credential read the range, now or a moment ago.
   * @throws ProbeError with etcd's refusal, or without an answer of etcd's
   */
  decide(range: KeyRange): Promise<void>;
}

/** A desk without an identity of ours: every watch hangs on the hub of its credential. */
export function createOwnDesk(own: WatchHub): WatchDesk {
  return {
    own,
    shared: undefined,
    get known() {
      return own.history.known;
    },
    decide: async (range) => {
      await own.probe(range);
    },
  };
}

/** A hub for a watch, and a quorum's answer that was asked for after it came. */
export interface Seat {
  readonly hub: WatchHub;
  readonly header: HeaderView;
}

/**
 * Finds the hub for a range that the client may read: permission is decided before anything is shared. What our identity
 * may not read, and the client may, is watched with the client's credential: a refusal of ours is nobody else's.
 * @throws ProbeError with etcd's refusal of the client
 */
export async function findSeat(desk: WatchDesk, range: KeyRange): Promise<Seat> {
  if (desk.ready !== undefined) await desk.ready;
  const { own, shared } = desk;
  if (shared === undefined) return { hub: own, header: await own.probe(range) };
  const asked = shared.probe(range).then(
    (header) => ({ header }),
    (error: unknown) => ({ error }),
  );
  await desk.decide(range);
  const answer = await asked;
  if ("header" in answer) return { hub: shared, header: answer.header };
  if (!isRefusal(answer.error)) throw answer.error;
  return { hub: own, header: await own.probe(range) };
}
