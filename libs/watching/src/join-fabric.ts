import { hostname } from "node:os";
import type { CompactionFloor, Epochs, FabricReplica, FeedSharing, HubPort } from "@etcd-edge/coalesce";
import type { ChannelBalancer } from "@etcd-edge/endpoints";
import { createBusMessenger, type Messenger, type OpenedBus, startFeedSharing } from "@etcd-edge/fabric";
import { hasOwnIdentity } from "@etcd-edge/identity";
import { ConfigError, type Logger, type Metrics, systemClock, version } from "@etcd-edge/runtime";
import { isAuthEnabled, probeAsNobody } from "./auth-state.ts";
import type { FeedSharingConfig } from "./feed-sharing-options.ts";
import type { WatchService } from "./watch-service.ts";

/** This process among the other replicas. Disposing leaves. */
export interface Fabric extends Disposable {
  /** @see WatchServiceOptions.share */
  share(scope: string, hub: HubPort): FeedSharing | undefined;
  /** Among others: who they are, what was passed on. */
  readonly replica: FabricReplica;
  /**
   * Whose counts the others are told.
   * @param reads where reads are answered from memory: what is compacted is told, and heard of others
   */
  attach(watches: WatchService, reads?: CompactionFloor): void;
  /** Tells discovery of this process. */
  readonly messenger: Messenger;
  /** Others take over what this process watches at etcd; settles when they have, after two seconds at most. */
  drain(): Promise<void>;
}

/**
 * Joins the replicas that `--nats-url` leads to.
 *
 * @param opened its bus, which whoever opened it disposes of afterwards; without one replicas are on their own
 * @returns nothing where replicas are on their own
 * @throws ConfigError where anybody could speak on NATS while etcd's auth is on (rule 37)
 */
export async function joinFabric(
  opened: OpenedBus | undefined,
  config: FeedSharingConfig & { readonly user: string; readonly userCert: string },
  context: {
    readonly tier: string;
    /** What else decides which keys a client sees, beside who it is. */
    readonly namespace: string;
    readonly balancer: ChannelBalancer;
    readonly logger: Logger;
    readonly metrics: Metrics;
    readonly epochs: Epochs;
  },
): Promise<Fabric | undefined> {
  if (opened === undefined) return undefined;
  const { balancer, logger, metrics, tier, namespace, epochs } = context;
  let watches: WatchService | undefined;
  let floor: CompactionFloor | undefined;
  if (!opened.isProtected && (hasOwnIdentity(config) || (await isAuthEnabled(balancer)) === true)) {
    throw new ConfigError(
      "auth is enabled in etcd: --nats-url needs credentials (in the URL, --nats-creds-file or --nats-cert) or --fabric-key-file",
    );
  }
  const sharing = startFeedSharing({
    opened,
    prefix: config.fabricPrefix,
    clock: systemClock,
    logger,
    metrics,
    epochs,
    reopeningsPerSecond: config.fabricReopenRate,
    describe: () => ({
      name: hostname(),
      tier,
      version,
      uptimeSeconds: process.uptime(),
      compactRevision: highest(watches?.compactRevision, floor?.told),
      stats: watches?.stats() ?? new Map(),
    }),
  });
  // Before the first client comes: replicas that start together agree before they have something to share.
  void epochs.begin(() => probeAsNobody(balancer));
  return {
    replica: sharing.replica,
    share: (scope, hub) => sharing.share([scope, namespace], scope === "", hub),
    attach: (all, reads) => {
      watches = all;
      floor = reads;
      reads?.follow(() => sharing.replica.compactRevision);
    },
    messenger: createBusMessenger(opened.bus, config.fabricPrefix),
    drain: () => sharing.drain(),
    [Symbol.dispose]: () => sharing[Symbol.dispose](),
  };
}

function highest(...revisions: readonly (bigint | undefined)[]): bigint {
  return revisions.reduce<bigint>((most, one = 0n) => (one > most ? one : most), 0n);
}
