import { type ConfiguredSource, createConfiguredSource, type Endpoint } from "@etcd-edge/endpoints";
import { type Clock, ConfigError, type Logger, systemClock } from "@etcd-edge/runtime";
import type { OpenedBus } from "../config/open-bus.ts";
import { topicOf } from "./announced-source.ts";
import { followDiscovery } from "./follow-discovery.ts";

/** What a tier's flags say about where its endpoints come from, in the names of the flags. */
export interface UpstreamConfig {
  readonly discoverySrv: string;
  readonly discoverySrvName: string;
  readonly insecureDiscovery: boolean;
  readonly dnsServers: readonly string[];
  readonly discoveryUrl: readonly string[];
  readonly discoveryFabric: boolean;
  readonly discoveryTier: string;
  readonly discoveryCluster: string;
  readonly natsUrl: readonly string[];
  readonly fabricPrefix: string;
}

/** Whether endpoints come from somewhere else than `--endpoints`, which then is what to use while that gives nobody. */
export function isDiscovered(config: UpstreamConfig): boolean {
  return config.discoverySrv !== "" || config.discoveryUrl.length > 0 || config.discoveryFabric;
}

/**
 * The endpoints of a tier: a list, SRV records, or what the discovery tier tells over HTTP or over NATS. Whoever opened it
 * disposes of it.
 *
 * @throws ConfigError with every flag that contradicts another, or as `createConfiguredSource` does
 */
export async function openUpstreamSource(
  config: UpstreamConfig,
  context: {
    /** `--endpoints`, parsed. */
    readonly listed: readonly Endpoint[];
    /** Whether somebody wrote that list: what runs at the default address is nobody's choice to fall back on. */
    readonly isListGiven: boolean;
    /** Of `--nats-url`. Not disposed of. */
    readonly opened: OpenedBus | undefined;
    /** What this process is, and whether discovery is told of it. */
    readonly self: { readonly tier: string; readonly isAdvertised: boolean };
    readonly ca: string | Buffer | undefined;
    readonly logger: Logger;
    readonly clock?: Clock;
  },
): Promise<ConfiguredSource> {
  const { listed, isListGiven, opened, self, ca, logger, clock = systemClock } = context;
  const problems = contradictions(config, self);
  if (problems.length > 0) throw new ConfigError(problems.join("\n"));
  const endpoints = isListGiven || !isDiscovered(config) ? listed : [];
  if (config.discoveryFabric && opened !== undefined) {
    const topic = topicOf(config.discoveryCluster, config.discoveryTier);
    const prefix = config.fabricPrefix;
    return await followDiscovery({ opened, prefix, topic, fallback: endpoints, logger, clock });
  }
  return await createConfiguredSource({
    ...config,
    endpoints,
    discoveryUrls: config.discoveryUrl,
    ca,
    logger,
  });
}

function contradictions(config: UpstreamConfig, self: { tier: string; isAdvertised: boolean }): string[] {
  const hasUrl = config.discoveryUrl.length > 0;
  const hasSrv = config.discoverySrv !== "";
  const problems: string[] = [];
  if (config.discoveryFabric && config.natsUrl.length === 0)
    problems.push("--discovery-fabric needs --nats-url");
  if (config.discoveryFabric && (hasSrv || hasUrl))
    problems.push("--discovery-fabric excludes --discovery-srv and --discovery-url");
  else if (hasSrv && hasUrl) problems.push("--discovery-url excludes --discovery-srv");
  if ((config.discoveryFabric || hasUrl) && config.discoveryTier === self.tier && self.isAdvertised)
    problems.push(
      `--discovery-tier=${self.tier} would lead replicas that advertise themselves back to themselves`,
    );
  return problems;
}
