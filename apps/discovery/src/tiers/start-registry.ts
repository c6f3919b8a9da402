import { ChannelBalancer, type EndpointSource, toChannelTarget } from "@etcd-edge/endpoints";
import type { OwnIdentity } from "@etcd-edge/identity";
import { createUpstreamEtcd, RegisteredProxies, registryPrefix } from "@etcd-edge/registry";
import { type Logger, loadClientTls, systemClock } from "@etcd-edge/runtime";
import { Channel } from "@etcd-edge/transport";
import type { DiscoveryConfig } from "../command.ts";
import { TierRegistrations } from "./tier-registrations.ts";

/** What stands under `--resolver-prefix`, and what this replica puts there. Disposing takes its own out. */
export interface TierRegistry extends AsyncDisposable {
  readonly proxies: RegisteredProxies;
  readonly registrations: TierRegistrations;
}

/**
 * `--resolver-prefix`, `--resolver-ttl` and `--register-tiers`.
 * @param source the members of etcd; not disposed of
 * @returns nothing without a prefix
 */
export function startRegistry(
  config: DiscoveryConfig,
  {
    source,
    own,
    logger,
    onChange,
  }: { source: EndpointSource; own: OwnIdentity | undefined; logger: Logger; onChange: () => void },
): TierRegistry | undefined {
  if (config.resolverPrefix === "") return undefined;
  const tls = own?.tls ?? loadClientTls({ ...config, insecureSkipTlsVerify: false }, logger);
  const balancer = new ChannelBalancer({
    source,
    createChannel: (endpoint, _use, tells) => new Channel({ ...toChannelTarget(endpoint, tls), ...tells }),
  });
  const etcd = createUpstreamEtcd(balancer, own?.credential);
  const prefix = registryPrefix("", config.resolverPrefix);
  const common = { etcd, prefix, clock: systemClock, logger };
  const proxies = new RegisteredProxies({ ...common, onChange });
  const tiers = new Set(config.registerTiers);
  const registrations = new TierRegistrations({ ...common, ttlSeconds: config.resolverTtl, tiers });
  return {
    proxies,
    registrations,
    async [Symbol.asyncDispose]() {
      proxies[Symbol.dispose]();
      await registrations[Symbol.asyncDispose]();
      await balancer[Symbol.asyncDispose]();
    },
  };
}
