import type { HeaderView, WatchCreateRequest } from "@etcd-edge/proto";
import { copyRange, type KeyRange, toKeyRange } from "../range/key-range.ts";
import { ProbeError } from "./probe-flight.ts";
import { refusalText } from "./probe-refusal.ts";
import { findSeat, type WatchDesk } from "./watch-desk.ts";
import type { WatchHub } from "./watch-hub.ts";

/** What becomes of a create request. */
export type CreateOutcome =
  /** Without a header where etcd gave none. */
  | { readonly t: "refused"; readonly header: HeaderView | undefined; readonly reason: string }
  | {
      readonly t: "granted";
      readonly header: HeaderView;
      /** Where it is to hang. */
      readonly hub: WatchHub;
      readonly range: KeyRange;
      /** Nothing for a watch from now on: from the revision on that its created header says. */
      readonly position: bigint | undefined;
      /** Keeps the feed open until the watcher hangs on it; called once. */
      readonly release: (() => void) | undefined;
    };

const emptyRange = "mvcc: watcher range is empty";
const compacted = "etcdserver: mvcc: required revision has been compacted";
const timedOut = "etcdserver: request timed out";
/** Of gRPC. */
const unavailable = 14;
const askAgainMs = 250;

/**
 * Asks a quorum for the revision and the permission (rules 1, 34), and for a watch from now on waits until its feed is
 * there. While no etcd can be asked at all it asks again (rule 25). Never rejects.
 *
 * @param isGivenUp whether anybody still waits for the answer
 */
export async function decideCreate(
  { desk, refusesNegativeStart }: { readonly desk: WatchDesk; readonly refusesNegativeStart: () => boolean },
  request: WatchCreateRequest,
  isGivenUp: () => boolean,
): Promise<CreateOutcome> {
  const asked = toKeyRange(request);
  const range = asked && copyRange(asked);
  for (;;) {
    try {
      const { hub, header } = await findSeat(desk, range ?? { t: "point", key: request.key });
      if (range === undefined) return { t: "refused", header, reason: emptyRange };
      if (request.startRevision < 0n && refusesNegativeStart()) {
        return { t: "refused", header, reason: compacted };
      }
      if (request.startRevision !== 0n) {
        const start = request.startRevision < 1n ? 1n : request.startRevision;
        return { t: "granted", header, hub, range, position: start - 1n, release: undefined };
      }
      const prepared = await hub.prepare(range, header.revision, request.prevKv);
      if (typeof prepared === "function") {
        return { t: "granted", header, hub, range, position: undefined, release: prepared };
      }
      // A refusal of our own identity, after it was let a moment ago: asked again, it is the client's turn.
      if (prepared.t === "refused" && hub === desk.own)
        return { t: "refused", header, reason: prepared.reason };
      // "Now" was compacted or replaced before the feed was there: there is a later now (rule 25).
      if (isGivenUp()) return { t: "refused", header, reason: timedOut };
    } catch (error) {
      const isUnavailable = error instanceof ProbeError && error.code === unavailable;
      if (!isUnavailable)
        return { t: "refused", header: await desk.own.readHeader(), reason: refusalText(error) };
      if (isGivenUp()) return { t: "refused", header: undefined, reason: timedOut };
      await new Promise<void>((resolve) => desk.own.clock.setTimer(askAgainMs, resolve));
    }
  }
}

/** Lets go of what an outcome keeps open. */
export function releaseOutcome(outcome: CreateOutcome | undefined): void {
  if (outcome?.t === "granted") outcome.release?.();
}
