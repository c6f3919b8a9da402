import {
  type FabricReplica as CoreReplica,
  defaultCreateRate,
  type Epochs,
  FabricReplica,
  type FeedFabric,
  type HubPort,
  type ReplicaDescription,
} from "@etcd-edge/coalesce";
import type { Clock, Logger, Metrics } from "@etcd-edge/runtime";
import type { OpenedBus } from "../config/open-bus.ts";
import { exposeFabric } from "./expose-fabric.ts";
import { toFeedBus } from "./feed-bus.ts";
import { createDigest, randomName } from "./names.ts";

export type FeedSharingOptions = {
  readonly opened: OpenedBus;
  /** First tokens of all subjects. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** How many watches may be opened at etcd in a second because something else was lost. */
  readonly reopeningsPerSecond: number;
  /** What others are told of this process. */
  readonly describe: () => ReplicaDescription;
  /** What the process calls the histories it knows. */
  readonly epochs: Epochs;
};

/** A replica's part in the sharing of feeds. Disposing leaves; hubs that are still there go on by themselves. */
export type FeedSharingOfReplica = Disposable & {
  readonly replica: CoreReplica;
  /**
   * Shares the feeds of a hub with all replicas whose hubs have an equal identity.
   *
   * @param identity all that decides what the hub's clients see: who they are, a namespace. Not told to anybody.
   * @param isAnonymous whether everybody is that identity. Others are not shared over a bus on which anybody can speak (rule 37)
   * @returns nothing where it is not shared
   */
  share(identity: readonly string[], isAnonymous: boolean, hub: HubPort): FeedFabric | undefined;
  /** Others take over what this replica watches at etcd: settles when they have, after two seconds at most. */
  drain(): Promise<void>;
};

/** Joins the replicas on a bus. The bus is not disposed of. */
export function startFeedSharing(options: FeedSharingOptions): FeedSharingOfReplica {
  const { opened, prefix, clock, logger, metrics, describe, epochs } = options;
  const digest = createDigest(opened.key);
  const replica = new FabricReplica({
    id: randomName(),
    bus: toFeedBus(opened.bus, prefix),
    clock,
    digest,
    epochs,
    reopenRate: {
      ...defaultCreateRate,
      perSecond: options.reopeningsPerSecond,
      burst: Math.max(1, Math.ceil(options.reopeningsPerSecond / 10)),
    },
    describe,
  });
  exposeFabric(metrics, replica);
  let hasWarned = false;
  return {
    replica,
    share: (identity, isAnonymous, hub) => {
      if (!opened.isProtected && !isAnonymous) {
        if (!hasWarned) {
          logger.warn(
            "watches of clients with credentials are not shared over NATS: it needs credentials of its own, or --fabric-key-file",
          );
        }
        hasWarned = true;
        return undefined;
      }
      return replica.share(digest(JSON.stringify(identity)), hub);
    },
    drain: () => replica.drain(),
    [Symbol.dispose]: () => replica.close(),
  };
}
