import { type HubEvent, type KeyRange, toRangeFields } from "@etcd-edge/coalesce";
import type { Logger } from "@etcd-edge/runtime";
import type { Config } from "../options.ts";
import type { WatchServiceOptions } from "./watch-service.ts";

/** The flags that are about watches. */
export function toWatchOptions(
  config: Config,
): Omit<WatchServiceOptions, "balancer" | "findTransform" | "clock" | "onEvent"> {
  return {
    limits: {
      total: config.maxWatches,
      perConnection: config.maxWatchesPerConnection,
      perStream: config.maxWatchesPerStream,
      pendingPerStream: config.maxPendingWatchCreates,
    },
    logBytes: { maxTotalBytes: config.watchLogBytes, maxLogBytes: config.watchLogBytesPerFeed },
    progressNotifyIntervalMs: config.watchProgressNotifyInterval,
    createTimeoutMs: config.watchCreateTimeout,
    stallTimeoutMs: config.watchStallTimeout,
  };
}

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

/** A range as people write it; bytes that are no text in hexadecimal. */
export function describeRange(range: KeyRange): string {
  const { key, rangeEnd } = toRangeFields(range);
  switch (range.t) {
    case "point":
      return describeKey(key);
    case "span":
      return `[${describeKey(key)}, ${describeKey(rangeEnd)})`;
    case "from":
      return `[${describeKey(key)}, ∞)`;
    case "everything":
      return "all keys";
    default:
      return range satisfies never;
  }
}

function describeKey(key: Uint8Array): string {
  const isText = key.every((byte) => byte >= 0x20 && byte < 0x7f);
  return isText ? JSON.stringify(String.fromCharCode(...key)) : `0x${Buffer.from(key).toString("hex")}`;
}
