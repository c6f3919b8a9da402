import type { HubEvent } from "@etcd-edge/coalesce";
import type { Logger } from "@etcd-edge/runtime";
import { describeRange } from "./describe-range.ts";

/** What happens to feeds, in the log: what is lost as a warning, what comes and goes at debug. */
export function logHubEvent(event: HubEvent, logger: Logger): void {
  switch (event.t) {
    case "feedOpened":
    case "feedClosed":
      logger.debug(event.t === "feedOpened" ? "watch feed opened" : "watch feed closed", {
        range: describeRange(event.range),
        "catch-up": event.isCatchUp,
      });
      return;
    case "feedLost":
      logger.warn("watch feed lost its stream", {
        range: describeRange(event.range),
        code: event.code,
        error: event.message,
      });
      return;
    case "feedMoved":
      logger.warn("watch feed moved from a member that is behind", {
        range: describeRange(event.range),
        member: event.member,
        revision: String(event.head),
        "quorum-revision": String(event.quorum),
      });
      return;
    case "historyReplaced":
      logger.warn("etcd's history was replaced; all watches end as compacted", {
        revision: String(event.revision),
      });
      return;
    default:
      event satisfies never;
  }
}
