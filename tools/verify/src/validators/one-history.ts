import type { SwapRecord } from "../history/swap-record.ts";
import type { WatchMessage, WatchRecord } from "../history/watch-record.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/**
 * What a client is told on one watch, and in one row of answers, is of one history: when another cluster is behind the
 * addresses a watch ends or is cancelled before it is told anything of it, no answer goes back to the cluster of before,
 * and in the end everybody is served from the new one.
 */
export function checkOneHistory(swap: SwapRecord): readonly Violation[] {
  return [...swap.history.watches.flatMap((watch) => checkWatch(watch, swap)), ...checkAnswers(swap)];
}

function checkWatch(watch: WatchRecord, { before, after, mark }: SwapRecord): readonly Violation[] {
  const created = watch.messages.find((message) => message.t === "created");
  const last = watch.messages.slice(-1);
  if (created === undefined) {
    return watch.isOpenAtEnd ? [watchViolation("one history", watch, "was never created", last)] : [];
  }
  const isOld = created.clusterId === before;
  const wrong = watch.messages.find((message) => isMarked(message, mark) === isOld && message.t === "events");
  if (wrong !== undefined) {
    const text = `was created by cluster ${hex(created.clusterId)} and was told of the other one's history`;
    return [watchViolation("one history", watch, text, [wrong])];
  }
  if (isOld && watch.isOpenAtEnd) {
    const text = `hangs on cluster ${hex(before)}, which is gone, and was told nothing of it`;
    return [watchViolation("one history", watch, text, last)];
  }
  const isTold = watch.messages.some((message) => message.t === "events");
  if (created.clusterId === after && watch.isOpenAtEnd && !isTold)
    return [watchViolation("one history", watch, "was told nothing of the new cluster", last)];
  return [];
}

function isMarked(message: WatchMessage, mark: string): boolean {
  return message.t === "events" && message.events.some(({ kv }) => kv.value.startsWith(mark));
}

function checkAnswers({ answers, before, after }: SwapRecord): readonly Violation[] {
  const violations: Violation[] = [];
  for (const client of new Set(answers.map((answer) => answer.client))) {
    const own = answers.filter((answer) => answer.client === client);
    const first = own.findIndex(({ clusterId }) => clusterId === after);
    const back = first === -1 ? undefined : own.slice(first).find(({ clusterId }) => clusterId === before);
    const text =
      first === -1
        ? `client ${client} was never answered by the new cluster`
        : back && `client ${client} was answered by the cluster of before after the new one had answered it`;
    if (text !== undefined) {
      const evidence = own
        .slice(-5)
        .map(({ at, clusterId }) => `${at.toFixed(0)} ms: cluster ${hex(clusterId)}`);
      violations.push({
        promise: "one history",
        text,
        evidence,
        ...(back === undefined ? {} : { at: back.at }),
      });
    }
  }
  return violations;
}

function hex(clusterId: bigint): string {
  return clusterId.toString(16);
}
