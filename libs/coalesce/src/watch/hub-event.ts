import type { KeyRange } from "../range/key-range.ts";

/** What is worth a line in the log. */
export type HubEvent =
  | { readonly t: "feedOpened" | "feedClosed"; readonly range: KeyRange; readonly isCatchUp: boolean }
  | { readonly t: "feedLost"; readonly range: KeyRange; readonly code: number; readonly message: string }
  | {
      readonly t: "feedMoved";
      readonly range: KeyRange;
      readonly member: string;
      readonly head: bigint;
      readonly quorum: bigint;
    }
  | { readonly t: "historyReplaced"; readonly revision: bigint; readonly epoch: number };

/** Counts since the start. */
export interface HubCounters {
  feedsOpened: number;
  catchUpsOpened: number;
  feedsLost: number;
  feedsMoved: number;
  /** Upstream watches opened to go on where another one ended. */
  resumes: number;
  /** Watches asked of etcd itself: feeds, catch-ups, and whatever goes on or moves. */
  upstreamCreates: number;
  /** Events that etcd sent. */
  eventsIn: number;
  /** Responses to clients that needed none of etcd's own, because another client got the same. */
  sharedDeliveries: number;
}

export function createHubCounters(): HubCounters {
  return {
    ...{ feedsOpened: 0, catchUpsOpened: 0, feedsLost: 0, feedsMoved: 0, resumes: 0 },
    ...{ upstreamCreates: 0, eventsIn: 0, sharedDeliveries: 0 },
  };
}
