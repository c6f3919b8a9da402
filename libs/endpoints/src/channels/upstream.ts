import type { Channel } from "@etcd-edge/transport";
import type { Endpoint } from "../endpoint.ts";

/**
 * What a call is for. Long-lived streams (watches, keepalives) never share a connection with bulk traffic: a large
 * answer would hold up every event behind it.
 */
export type ChannelUse = "calls" | "streams";

/** One endpoint in use, with its connections. The balancer that made it closes them. */
export interface Upstream {
  readonly endpoint: Endpoint;
  /** The endpoint's key: kept, because every call asks for it. */
  readonly key: string;
  readonly calls: Channel;
  readonly streams: Channel;
}
