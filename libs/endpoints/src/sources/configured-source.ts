import { ConfigError, formatGoDuration, type Logger } from "@etcd-edge/runtime";
import { createConfiguredClient } from "../dns/configured-client.ts";
import { SrvLookupError } from "../dns/srv-lookup.ts";
import { type Endpoint, endpointUrl } from "../endpoint.ts";
import type { EndpointSource } from "../endpoint-set.ts";
import { validateEndpoints } from "../validate-endpoints.ts";
import { createDiscoverySource } from "./discovery-source.ts";
import { createPreferredSource } from "./preferred-source.ts";
import type { RefreshingSource } from "./refreshing-source.ts";
import { createSrvSource, type SrvEvent } from "./srv-source.ts";
import { createStaticSource } from "./static-source.ts";

/** What the flags of a tier say about its upstream. */
export interface ConfiguredSourceOptions {
  /** `--endpoints`, parsed. With SRV: what is used while SRV gives nobody. */
  readonly endpoints: readonly Endpoint[];
  /** `--discovery-srv`; empty: the endpoints as they are. */
  readonly discoverySrv: string;
  readonly discoverySrvName: string;
  /** `--insecure-discovery`: targets are not asked to prove who they are. */
  readonly insecureDiscovery: boolean;
  /** Base URLs of the discovery tier's HTTP API, asked instead of SRV. Default: none. */
  readonly discoveryUrls?: readonly string[];
  /** Whose endpoints discovery is asked for: `members`, or a tier of ours. Default `members`. */
  readonly discoveryTier?: string;
  /** Resolvers as `host:port`; empty: the system's. */
  readonly dnsServers: readonly string[];
  /** CA in PEM for the proof; the system's where absent. */
  readonly ca?: string | Buffer | undefined;
  readonly logger: Logger;
}

/** An {@link EndpointSource} that can be told that what it says proved wrong. */
export type ConfiguredSource = EndpointSource & { refresh(): void };

/**
 * The endpoints that a tier's flags name: a list, or SRV records followed by their TTL. Waits for the first SRV answer;
 * a resolver that does not answer is asked again for ever, meanwhile the list serves.
 * @throws ConfigError in etcd's words where the records do not exist and there is no list to fall back on
 */
export async function createConfiguredSource(options: ConfiguredSourceOptions): Promise<ConfiguredSource> {
  const { endpoints, discoverySrv: domain, discoveryUrls = [], logger } = options;
  if (domain === "" && discoveryUrls.length > 0)
    return await followDiscovery({ urls: discoveryUrls, tier: options.discoveryTier }, endpoints, logger);
  if (domain === "") return { ...createStaticSource(endpoints), refresh: () => undefined };
  const source = createSrvSource({
    client: createConfiguredClient(options.dnsServers),
    domain,
    serviceName: options.discoverySrvName,
    validate: options.insecureDiscovery
      ? undefined
      : (found, signal) => {
          const tls = { serverName: domain, ...(options.ca === undefined ? {} : { ca: options.ca }) };
          return validateEndpoints(found, { tls, signal });
        },
    onEvent: (event) => logSrvEvent(logger, domain, event),
    onOutcome: (outcome) => {
      if (outcome.t === "loaded") return;
      const interval = formatGoDuration(Math.round(outcome.retryInMs));
      logger.warn("failed to look up SRV records", { "srv-server": domain, error: outcome.error, interval });
    },
  });
  const first = await source.firstOutcome;
  const doesNotExist = first.t === "failed" && first.error instanceof SrvLookupError && first.error.isFinal;
  if (!doesNotExist || endpoints.length > 0) return withFallback(source, endpoints);
  await source[Symbol.asyncDispose]();
  const message = first.error instanceof Error ? first.error.message : String(first.error);
  throw new ConfigError(message, { cause: first.error });
}

/** Waits for the first answer, good or bad: with discovery down the fallback serves, and it heals. */
async function followDiscovery(
  { urls, tier = "members" }: { urls: readonly string[]; tier: string | undefined },
  fallback: readonly Endpoint[],
  logger: Logger,
): Promise<ConfiguredSource> {
  const source = createDiscoverySource({
    urls,
    tier,
    onOutcome: (outcome) => {
      if (outcome.t === "failed") {
        const errors = outcome.error instanceof AggregateError ? outcome.error.errors : [outcome.error];
        const interval = formatGoDuration(Math.round(outcome.retryInMs));
        logger.warn("failed to get endpoints from discovery", {
          error: errors.map(messageOf).join("; "),
          interval,
        });
      } else if (outcome.isChanged) {
        logger.info("endpoints from discovery changed", {
          endpoints: outcome.set.endpoints.map(endpointUrl),
        });
      }
    },
  });
  await source.firstOutcome;
  return withFallback(source, fallback);
}

function messageOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return `${error instanceof Error ? error.message : String(error)}${cause}`;
}

/** What `source` says, and `fallback` while that is nobody. Disposes of `source`. */
function withFallback(source: RefreshingSource, fallback: readonly Endpoint[]): ConfiguredSource {
  const preferred = createPreferredSource(source, createStaticSource(fallback));
  return {
    ...preferred,
    refresh: () => source.refresh(),
    async [Symbol.asyncDispose]() {
      await preferred[Symbol.asyncDispose]();
      await source[Symbol.asyncDispose]();
    },
  };
}

function logSrvEvent(logger: Logger, domain: string, event: SrvEvent): void {
  const fields = { "srv-server": domain, endpoints: event.endpoints.map(endpointUrl) };
  switch (event.t) {
    case "discovered":
      logger.info("discovered cluster from SRV", fields);
      return;
    case "validating":
      logger.info("validating discovered SRV endpoints", fields);
      return;
    case "rejected":
      logger.warn("failed to validate discovered endpoints", { ...fields, error: event.errors.join(",") });
      return;
    case "validated":
      logger.info("using validated discovered SRV endpoints", fields);
      return;
    default:
      event satisfies never;
  }
}
