import type { WatchCount } from "@etcd-edge/coalesce";
import { identityOfCredential, type WatchIdentity } from "@etcd-edge/watching";
import type { Metadata } from "../upstream/upstream.ts";

/** Who opens a stream of watches, from the metadata of its call: at most one credential is in it (rule 36). */
export function toWatchClient(
  metadata: Metadata,
  connection: WatchCount,
): { identity: WatchIdentity; requiresLeader: boolean; connection: WatchCount } {
  let credential: string | undefined;
  let requiresLeader = false;
  for (let i = 0; i < metadata.length; i += 2) {
    const name = metadata[i];
    if (name === "token" || name === "authorization") credential = metadata[i + 1];
    else if (name === "hasleader") requiresLeader = metadata[i + 1] === "true";
  }
  return { identity: identityOfCredential(credential), requiresLeader, connection };
}

const counts = new WeakMap<object, WatchCount>();

/** What is counted of a connection, for its limit. @param connection anything that lives as long as it */
export function watchCountOf(connection: object): WatchCount {
  let count = counts.get(connection);
  if (count === undefined) {
    count = { watches: 0 };
    counts.set(connection, count);
  }
  return count;
}
