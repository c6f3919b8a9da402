import {
  createPreferredSource,
  createStaticSource,
  type Endpoint,
  type EndpointSource,
  endpointUrl,
} from "@etcd-edge/endpoints";
import { ConfigError, type Logger } from "@etcd-edge/runtime";
import type { MessageBus } from "../bus/message-bus.ts";
import { createAnnouncedSource, topicOf } from "../endpoints/announced-source.ts";

/** What `--discovery-fabric` is about, in the names of the flags. */
export interface FollowedDiscovery {
  readonly natsUrl: readonly string[];
  readonly fabricPrefix: string;
  readonly discoveryCluster: string;
  readonly discoveryTier: string;
  readonly discoverySrv: string;
  readonly discoveryUrl: readonly string[];
}

/**
 * The endpoints that discovery announces over the fabric, and `fallback` until it has announced any.
 * @throws ConfigError where there is no NATS, or another source as well
 */
export function followDiscoveryFabric(
  config: FollowedDiscovery,
  { bus, fallback, logger }: { bus: MessageBus | undefined; fallback: readonly Endpoint[]; logger: Logger },
): EndpointSource & { refresh(): void } {
  if (config.natsUrl.length === 0 || bus === undefined)
    throw new ConfigError("--discovery-fabric needs --nats-url");
  if (config.discoverySrv !== "" || config.discoveryUrl.length > 0)
    throw new ConfigError("--discovery-fabric excludes --discovery-srv and --discovery-url");
  const announced = createAnnouncedSource({
    bus,
    prefix: config.fabricPrefix,
    topic: topicOf(config.discoveryCluster, config.discoveryTier),
    onChange: (endpoints) =>
      logger.info("endpoints from discovery changed", { endpoints: endpoints.map(endpointUrl) }),
  });
  const preferred = createPreferredSource(announced, createStaticSource(fallback));
  return {
    ...preferred,
    refresh: () => undefined, // discovery tells by itself
    async [Symbol.asyncDispose]() {
      await preferred[Symbol.asyncDispose]();
      await announced[Symbol.asyncDispose]();
    },
  };
}
