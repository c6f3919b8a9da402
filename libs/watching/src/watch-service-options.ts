import type { Epochs, FeedSharing, HubEvent, HubPort, WatchLimits } from "@etcd-edge/coalesce";
import type { ChannelBalancer } from "@etcd-edge/endpoints";
import type { ServiceIdentity, TokenNames } from "@etcd-edge/identity";
import type { Clock } from "@etcd-edge/runtime";
import type { FindMessageTransform } from "./message-transform.ts";

/** What a watch service is made of. Durations in milliseconds. */
export interface WatchServiceOptions {
  readonly balancer: ChannelBalancer;
  readonly findTransform: FindMessageTransform;
  readonly clock: Clock;
  readonly limits: WatchLimits;
  readonly logBytes: { readonly maxTotalBytes: number; readonly maxLogBytes: number };
  readonly progressNotifyIntervalMs: number;
  readonly createTimeoutMs: number;
  /** A stream that has not been read for this long while there was something for it is ended; 0 for never. */
  readonly stallTimeoutMs: number;
  readonly onEvent: (event: HubEvent) => void;
  /** Shares the feeds of an identity scope with other replicas; nothing where it is not shared. */
  readonly share?: ((scope: string, hub: HubPort) => FeedSharing | undefined) | undefined;
  /** What the process calls the histories it knows. */
  readonly epochs: Epochs;
  /** An identity of ours that feeds are shared under by all who may read them; without it only equal credentials share. */
  readonly service?: ServiceIdentity;
  readonly names: TokenNames;
  /** How often it is asked whether live watches may go on, and for how long an answer is remembered. */
  readonly authRecheckMs: number;
  /** How long a shared watch waits without an answer to that before it is cancelled. */
  readonly authGraceMs: number;
}
