import type { FanPort, WatchCount } from "@etcd-edge/coalesce";
import type { Upstream } from "@etcd-edge/endpoints";
import type { ServerCall, ServerSink } from "@etcd-edge/transport";

/** What the proxy keeps of one client connection. */
export class ClientState {
  /** The Common Name of its verified certificate; null where it shows none. Looked up once. */
  certificateUser: string | null | undefined;
  /** Who answers this client's questions about one member, while it is healthy. */
  pinned: Upstream | undefined;
  /** The highest revision that an answer on this connection showed, and of which history. Kept with serializable ordering only. */
  shown: { readonly epoch: number; readonly revision: bigint } | undefined;
  /** The connection itself, once it has watches. */
  fans: FanPort | undefined;
  /** Watches of this connection, for their limit. */
  readonly watchCount: WatchCount = { watches: 0 };
}

/** A client's call, on a connection that has such a state. */
export type ClientsCall = ServerCall<ClientState>;

/** Takes what such a client sends in one call. */
export type ClientsSink = ServerSink<ClientState>;
