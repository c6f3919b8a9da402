import {
  createConfiguredClient,
  createMemberLister,
  createMemberSource,
  createSrvSource,
  createStaticSource,
  type Endpoint,
  EndpointSetHolder,
  type EndpointSource,
  endpointUrl,
  type MemberSource,
  parseEndpoints,
  type RefreshOutcome,
  type TlsMaterial,
  validateEndpoints,
} from "@etcd-edge/endpoints";
import type { OwnIdentity } from "@etcd-edge/identity";
import { ConfigError, type Logger, loadClientTls, readPem } from "@etcd-edge/runtime";
import { type DiscoveryConfig, hasExplicitEndpoints } from "./command.ts";

/** Where the endpoint set comes from: what was given or found by SRV, and the members those told of. */
export type UpstreamSources = AsyncDisposable & {
  /** Members once they are known, seeds until then. */
  readonly endpoints: EndpointSource;
  readonly peers: () => readonly Endpoint[];
};

/** @throws ConfigError with all endpoints that do not parse */
export function createUpstreamSources(
  config: DiscoveryConfig,
  {
    tls,
    own,
    logger,
    onMembers,
  }: { tls: TlsMaterial; own: OwnIdentity | undefined; logger: Logger; onMembers: () => void },
): UpstreamSources {
  const seeds = createSeeds(config, tls, logger);
  if (config.endpointsAutoSyncInterval === 0) {
    return { endpoints: seeds, peers: () => [], [Symbol.asyncDispose]: () => seeds[Symbol.asyncDispose]() };
  }
  const members = createMemberSource({
    seeds,
    tls,
    // With auth on, etcd from 3.5 on tells members to users only.
    ...(own && {
      listMembers: createMemberLister({
        tls: own.tls ?? loadClientTls({ ...config, insecureSkipTlsVerify: false }, logger),
        user: own.credential,
      }),
    }),
    intervalMs: config.endpointsAutoSyncInterval,
    onOutcome: (outcome) => {
      logOutcome(logger, "member list", outcome);
      onMembers(); // peers may have changed although the endpoints have not
    },
    onForeignCluster: (endpoint, clusterId, pinned) =>
      logger.warn("ignored an endpoint of another cluster", {
        endpoint: endpointUrl(endpoint),
        "cluster-id": clusterId.toString(16),
        "pinned-cluster-id": pinned.toString(16),
      }),
  });
  const endpoints = preferMembers(members, seeds);
  return {
    endpoints,
    peers: () => members.peers(),
    async [Symbol.asyncDispose]() {
      await endpoints[Symbol.asyncDispose]();
      await members[Symbol.asyncDispose]();
      await seeds[Symbol.asyncDispose]();
    },
  };
}

function createSeeds(config: DiscoveryConfig, tls: TlsMaterial, logger: Logger): EndpointSource {
  const { endpoints: listed, errors } = parseEndpoints(config.endpoints);
  if (errors.length > 0) throw new ConfigError(errors.join("\n"));
  const hasTls = [tls.ca, tls.cert].some((file) => file !== undefined) || config.userCert !== "";
  const given = listed.map((endpoint) => withScheme(endpoint, hasTls));
  const domain = config.discoverySrv;
  if (domain === "") {
    if (given.length === 0) throw new ConfigError("no endpoints found");
    return createStaticSource(given);
  }
  const source = createSrvSource({
    client: createConfiguredClient(config.dnsServers),
    domain,
    serviceName: config.discoverySrvName,
    validate: config.insecureDiscovery
      ? undefined
      : (endpoints, signal) => validateEndpoints(endpoints, { tls: { ...tls, serverName: domain }, signal }),
    onEvent: (event) => {
      const fields = { "srv-server": domain, endpoints: event.endpoints.map(endpointUrl) };
      if (event.t === "rejected") {
        logger.warn("failed to validate discovered endpoints", { ...fields, error: event.errors.join(",") });
      } else if (event.t === "discovered") {
        logger.info("discovered cluster from SRV", fields);
      }
    },
    onOutcome: (outcome) => logOutcome(logger, "SRV records", outcome),
  });
  return hasExplicitEndpoints(config) ? join(source, createStaticSource(given)) : source;
}

/** As the Go client reads it: an endpoint without a scheme is spoken to with TLS if there is TLS material. */
function withScheme(endpoint: Endpoint, hasTls: boolean): Endpoint {
  if (endpoint.scheme !== "any") return endpoint;
  return { ...endpoint, scheme: hasTls ? "https" : "http" };
}

/** Members, with priority and weight of the seed that leads to the same place: a member list knows neither. */
function preferMembers(members: MemberSource, seeds: EndpointSource): EndpointSource {
  return combine([members, seeds], () => {
    const known = members.current().endpoints;
    const bySeed = new Map(seeds.current().endpoints.map((seed) => [endpointUrl(seed), seed]));
    if (known.length === 0) return seeds.current().endpoints;
    return known.map((member) => {
      const seed = bySeed.get(endpointUrl(member));
      return seed === undefined ? member : { ...member, priority: seed.priority, weight: seed.weight };
    });
  });
}

/** Everybody in either. Disposes both. */
function join(first: EndpointSource, second: EndpointSource): EndpointSource {
  const joined = combine([first, second], () => [
    ...first.current().endpoints,
    ...second.current().endpoints,
  ]);
  return {
    ...joined,
    async [Symbol.asyncDispose]() {
      await joined[Symbol.asyncDispose]();
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
    },
  };
}

/** A source made anew whenever one of `parts` changes. Does not dispose them. */
function combine(parts: readonly EndpointSource[], read: () => readonly Endpoint[]): EndpointSource {
  const holder = new EndpointSetHolder();
  const follow = (): void => {
    if (parts.some((part) => part.current().version > 0)) holder.update(read());
  };
  follow();
  const unsubscribes = parts.map((part) => part.subscribe(follow));
  return {
    current: () => holder.current(),
    subscribe: (listener) => holder.subscribe(listener),
    [Symbol.asyncDispose]() {
      for (const unsubscribe of unsubscribes) unsubscribe();
      return Promise.resolve();
    },
  };
}

function logOutcome(logger: Logger, what: string, outcome: RefreshOutcome): void {
  if (outcome.t === "failed") {
    logger.warn(`failed to get ${what}`, {
      error: causesOf(outcome.error),
      "retry-in-ms": Math.round(outcome.retryInMs),
    });
  } else if (outcome.isChanged) {
    logger.info(`${what} changed`, { endpoints: outcome.set.endpoints.map(endpointUrl) });
  }
}

function causesOf(error: unknown): string {
  const errors = error instanceof AggregateError ? [error.message, ...error.errors.map(causesOf)] : [error];
  return errors.map((one) => (one instanceof Error ? one.message : String(one))).join(": ");
}

/** Reads `--cacert`, `--cert` and `--key`. @throws ConfigError for files that cannot be read */
export async function readTls({
  cacert,
  cert,
  key,
}: Pick<DiscoveryConfig, "cacert" | "cert" | "key">): Promise<TlsMaterial> {
  if ((cert === "") !== (key === "")) {
    throw new ConfigError(`KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`);
  }
  return {
    ...(cacert === "" ? {} : { ca: readPem(cacert) }),
    ...(cert === "" ? {} : { cert: readPem(cert), key: readPem(key) }),
  };
}
