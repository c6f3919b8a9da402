import type { Endpoint } from "@etcd-edge/endpoints";
import type { ClientTls, Logger } from "@etcd-edge/runtime";
import type { Upstream } from "./upstream.ts";

export interface ChannelUpstream extends Upstream, AsyncDisposable {
  /** Why no call can be made now, or nothing. */
  problem(): string | undefined;
}

export function createChannelUpstream(_options: {
  readonly endpoints: readonly Endpoint[];
  readonly tls: ClientTls | undefined;
  readonly logger: Logger;
}): ChannelUpstream {
  throw new Error("not yet");
}
