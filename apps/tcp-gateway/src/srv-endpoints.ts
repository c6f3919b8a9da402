import { readFile } from "node:fs/promises";
import {
  createSrvSource,
  createStaticSource,
  DnsClient,
  type Endpoint,
  EndpointSetHolder,
  type EndpointSource,
  endpointUrl,
  type RefreshingSource,
  type SrvEvent,
  SrvLookupError,
  validateEndpoints,
} from "@etcd-edge/endpoints";
import { ConfigError, formatGoDuration, type Logger } from "@etcd-edge/runtime";
import type { GatewayConfig } from "./command.ts";

/** Endpoints of the gateway: an {@link EndpointSource} that can be told that what it says proved wrong. */
export type GatewayEndpoints = EndpointSource & { refresh(): void };

export function createListedEndpoints(endpoints: readonly Endpoint[]): GatewayEndpoints {
  return { ...createStaticSource(endpoints), refresh: () => undefined };
}

/**
 * Endpoints of `--discovery-srv`, followed by TTL. Waits for the first answer.
 * `fallback` is used while SRV gives nothing, and only if the user asked for it.
 * @throws ConfigError in etcd's words if the records do not exist and there is no fallback, or the CA cannot be read
 */
export async function discoverEndpoints(
  config: GatewayConfig,
  fallback: readonly Endpoint[],
  logger: Logger,
): Promise<GatewayEndpoints> {
  const domain = config.discoverySrv;
  const ca = await readCa(config.trustedCaFile);
  const source = createSrvSource({
    client: new DnsClient(config.dnsServers.length > 0 ? { resolvers: config.dnsServers } : {}),
    domain,
    serviceName: config.discoverySrvName,
    validate: config.insecureDiscovery
      ? undefined
      : (endpoints, signal) =>
          validateEndpoints(endpoints, {
            tls: { serverName: domain, ...(ca === undefined ? {} : { ca }) },
            signal,
          }),
    onEvent: (event) => logSrvEvent(logger, domain, event),
    onOutcome: (outcome) => {
      if (outcome.t === "loaded") return;
      const interval = formatGoDuration(Math.round(outcome.retryInMs));
      logger.warn("failed to look up SRV records", { "srv-server": domain, error: outcome.error, interval });
    },
  });
  const first = await source.firstOutcome;
  const doesNotExist = first.t === "failed" && first.error instanceof SrvLookupError && first.error.isFinal;
  if (!doesNotExist || fallback.length > 0) return withFallback(source, fallback);
  await source[Symbol.asyncDispose]();
  throw new ConfigError(String(first.error instanceof Error ? first.error.message : first.error), {
    cause: first.error,
  });
}

/** What `source` says, and `fallback` while that is nobody. Disposes `source`. */
function withFallback(source: RefreshingSource, fallback: readonly Endpoint[]): GatewayEndpoints {
  const holder = new EndpointSetHolder();
  const follow = (): void => {
    const { endpoints } = source.current();
    holder.update(endpoints.length > 0 ? endpoints : fallback);
  };
  follow();
  const unsubscribe = source.subscribe(follow);
  return {
    current: () => holder.current(),
    subscribe: (listener) => holder.subscribe(listener),
    refresh: () => source.refresh(),
    [Symbol.asyncDispose]() {
      unsubscribe();
      return source[Symbol.asyncDispose]();
    },
  };
}

async function readCa(file: string): Promise<string | undefined> {
  if (file === "") return undefined;
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error), { cause: error });
  }
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
