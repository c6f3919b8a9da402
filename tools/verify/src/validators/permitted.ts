import type { History } from "../history/history.ts";
import { hasWritten, mayWrite, type Operation, stepsOf } from "../history/operation.ts";
import { type Need, needsOf, Rights } from "../history/rights.ts";
import type { WatchRecord } from "../history/watch-record.ts";
import { describeNeed, describeOperation, describeRight } from "./describe.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** Members hear of a right one after the other; one that was disturbed may take longer, and then nothing is said. */
const memberLagMs = 5_000;
/** What asks again every so often is late on a machine that is busy. */
const slackMs = 4_000;

/** How etcd refuses for want of a right. */
export const isDenial = (reason: string): boolean => reason.includes("permission denied");

/**
 * Nobody is shown, or changes, what their user may not at that time, by whatever cache, flight or feed of somebody else's; and
 * what they may is not refused. A right that was taken may count for reads as long as the door says, and ends watches where it
 * says so; for writes it never counts.
 */
export function checkPermitted(history: History): readonly Violation[] {
  if (history.rights === undefined) return [];
  const rights = new Rights(history.rights.records);
  const judge: Judge = { history, rights, ...history.rights, writtenAt: writeTimes(history) };
  return [
    ...history.operations.flatMap((operation) => checkOperation(operation, judge) ?? []),
    ...history.watches.flatMap((watch) => checkWatch(watch, judge) ?? []),
  ];
}

interface Judge {
  readonly history: History;
  readonly rights: Rights;
  readonly staleMs: number;
  readonly watchEndsMs: number | undefined;
  /** When the write of a revision was asked for at the earliest. */
  readonly writtenAt: ReadonlyMap<bigint, number>;
}

function checkOperation(operation: Operation, judge: Judge): Violation | undefined {
  const { user, action, outcome, invokedAt, returnedAt } = operation;
  if (user === undefined) return undefined;
  const needs = needsOf(action);
  const isLocal = stepsOf(action).some((step) => step.t === "range" && step.serializable);
  const stale = mayWrite(action) ? 0 : judge.staleMs + slackOf(judge);
  const from = invokedAt - stale - (isLocal ? memberLagMs : 0);
  const violation = (text: string, need: Need): Violation => ({
    promise: "permitted",
    text: `${user} ${text}`,
    evidence: [...evidenceOf(user, need, judge), describeOperation(operation)],
    operations: [operation.id],
    at: returnedAt,
  });
  if (outcome.t === "answered") {
    const lacking = needs.find((need) => !judge.rights.mayHaveHad(user, need, from, returnedAt));
    if (lacking === undefined || isExcused(isLocal, user, lacking, judge, from, returnedAt)) return undefined;
    const did = hasWritten(outcome.answer) ? "changed" : "was shown";
    return violation(`${did} what it may not ${lacking.access}`, lacking);
  }
  if (outcome.t === "unknown" || !isDenial(outcome.reason)) return undefined;
  const since = invokedAt - (isLocal ? memberLagMs : 0);
  const isRight = needs.some((need) => !judge.rights.hadAllTheTime(user, need, since, returnedAt));
  if (isRight || (isLocal && isDisturbed(judge, since, returnedAt))) return undefined;
  const [need] = needs;
  return need && violation("was refused what it may do", need);
}

/** A member that was cut off does not know better; but that somebody never had a right, everybody knows. */
function isExcused(
  isLocal: boolean,
  user: string,
  need: Need,
  judge: Judge,
  from: number,
  to: number,
): boolean {
  return isLocal && judge.rights.of(user, need).length > 0 && isDisturbed(judge, from, to);
}

function checkWatch(watch: WatchRecord, judge: Judge): Violation | undefined {
  const { user, askedAt } = watch;
  if (user === undefined) return undefined;
  const need: Need = { access: "read", span: watch.request.span };
  const evidence = (): readonly string[] => evidenceOf(user, need, judge);
  const began = askedAt - judge.staleMs - slackOf(judge) - memberLagMs;
  for (const message of watch.messages) {
    if (message.t === "canceled" && isDenial(message.reason)) {
      const since = askedAt - memberLagMs;
      if (!judge.rights.hadAllTheTime(user, need, since, message.at)) continue;
      if (isDisturbed(judge, since, message.at)) continue;
      return watchViolation(
        "permitted",
        watch,
        `${user} was refused what it may read`,
        [message],
        evidence(),
      );
    }
    if (message.t !== "events") continue;
    const from = Math.max(began, lastNews(judge, message.events));
    if (judge.rights.mayHaveHad(user, need, from, message.at)) continue;
    if (judge.rights.of(user, need).length > 0 && isDisturbed(judge, from, message.at)) continue;
    return watchViolation("permitted", watch, `${user} was told what it may not read`, [message], evidence());
  }
  return checkEnd(watch, user, need, judge);
}

/** From when on a right must have been there for all of these to be told; where watches may go on without one, any time. */
function lastNews(
  { watchEndsMs, staleMs, writtenAt }: Judge,
  events: readonly { readonly kv: { readonly modRevision: bigint } }[],
): number {
  if (watchEndsMs === undefined) return Number.NEGATIVE_INFINITY;
  const times = events.map(({ kv }) => writtenAt.get(kv.modRevision) ?? Number.NEGATIVE_INFINITY);
  return Math.max(...times) - staleMs - slackMs;
}

/** Where a right that is gone ends watches, none is left of those that had it. */
function checkEnd(watch: WatchRecord, user: string, need: Need, judge: Judge): Violation | undefined {
  const { history, rights, staleMs, watchEndsMs } = judge;
  const wasCreated = watch.messages.some(({ t }) => t === "created");
  if (watchEndsMs === undefined || !watch.isOpenAtEnd || !wasCreated) return undefined;
  const from = history.endedAt - staleMs - watchEndsMs - slackMs;
  if (watch.askedAt > from || rights.mayHaveHad(user, need, from, history.endedAt)) return undefined;
  if (isDisturbed(judge, from, history.endedAt)) return undefined;
  const text = `is open at the end, and ${user} may no longer read it`;
  return watchViolation("permitted", watch, text, watch.messages.slice(-1), evidenceOf(user, need, judge));
}

/** Where nothing is remembered nothing is late. */
function slackOf({ staleMs }: Judge): number {
  return staleMs === 0 ? 0 : slackMs;
}

function writeTimes({ operations }: History): ReadonlyMap<bigint, number> {
  const times = new Map<bigint, number>();
  for (const { outcome, invokedAt } of operations)
    if (outcome.t === "answered" && hasWritten(outcome.answer)) times.set(outcome.revision, invokedAt);
  return times;
}

function isDisturbed({ history }: Judge, from: number, to: number): boolean {
  return history.disturbances.some(([begin, end]) => begin <= to && end >= from);
}

function evidenceOf(user: string, need: Need, { rights }: Judge): readonly string[] {
  const known = rights.of(user, need).map(describeRight);
  return known.length === 0 ? [`${user} never had a right to ${describeNeed(need)}`] : known;
}
