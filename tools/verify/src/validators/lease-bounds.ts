import type { History, LeaseRecord } from "../history/history.ts";
import type { Timeline } from "../history/timeline.ts";
import type { Violation } from "./violation.ts";

/** Clocks of one machine are one clock; this is for rounding. */
const toleranceMs = 20;
/** What etcd takes to find, order and write the end of a lease on a busy machine. */
const slackMs = 30_000;

/**
 * A key lives as long as its lease was promised to, counted from the moment the promise was asked for, and is gone soon
 * after: later only for faults, because a new leader gives every lease its whole time again.
 */
export function checkLeaseBounds(history: History, timeline: Timeline): readonly Violation[] {
  return history.leases.flatMap((lease) => findWrong(history, timeline, lease) ?? []);
}

function findWrong(history: History, timeline: Timeline, lease: LeaseRecord): Violation | undefined {
  const put = timeline.changes.find(({ events }) =>
    events.some(({ kind, kv }) => kind === "put" && kv.key === lease.key && kv.lease === lease.id),
  );
  // It never had its key; or its end may be among what the reference did not see.
  if (put === undefined || timeline.hasGaps) return undefined;
  const gone = timeline
    .between(put.revision, timeline.head)
    .find(({ events }) => events.some(({ kind, kv }) => kind === "delete" && kv.key === lease.key));
  const promises = [
    { at: lease.grantInvokedAt, until: lease.grantInvokedAt + lease.ttlSeconds * 1000 },
    ...lease.renewals
      .filter((one) => one.ttlSeconds > 0)
      .map((one) => ({ at: one.sentAt, until: one.sentAt + one.ttlSeconds * 1000 })),
  ];
  const until = Math.max(...promises.map((one) => one.until));
  const lines = [
    `lease ${lease.id} of ${lease.ttlSeconds} s, asked for at ${lease.grantInvokedAt.toFixed(0)} ms, granted at ${lease.grantReturnedAt.toFixed(0)} ms`,
    ...lease.renewals
      .slice(-3)
      .map(
        (one) =>
          `renewed at ${one.sentAt.toFixed(0)} ms, answered at ${one.answeredAt.toFixed(0)} ms: ${one.ttlSeconds} s`,
      ),
    gone === undefined
      ? `its key ${lease.key} was there to the end`
      : `its key ${lease.key} was seen deleted at ${gone.seenAt.toFixed(0)} ms, revision ${gone.revision}`,
  ];
  const violation = (text: string): Violation => ({
    promise: "lease bounds",
    text,
    evidence: lines,
    at: gone?.seenAt ?? history.endedAt,
  });
  if (lease.revokeAskedAt !== undefined) return undefined;
  if (gone !== undefined && gone.seenAt < until - toleranceMs) {
    return violation(`the key of a lease was gone ${(until - gone.seenAt).toFixed(0)} ms before its time`);
  }
  // A renewal whose answer was lost may have been done.
  const lastRenewal = lease.renewals.at(-1)?.answeredAt ?? lease.grantReturnedAt;
  const calm = Math.max(lastRenewal, lease.lastRenewalTriedAt ?? 0, ...disturbedAfter(history, lease));
  const latest = calm + lease.ttlSeconds * 1000 + slackMs;
  if ((gone?.seenAt ?? history.endedAt) > latest) {
    return violation(
      `the key of a lease outlived it by ${((gone?.seenAt ?? history.endedAt) - latest).toFixed(0)} ms and more`,
    );
  }
  return undefined;
}

function disturbedAfter(history: History, lease: LeaseRecord): readonly number[] {
  return history.disturbances.filter(([, to]) => to >= lease.grantInvokedAt).map(([, to]) => to);
}
