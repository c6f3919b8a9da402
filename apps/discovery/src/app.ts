import { randomUUID } from "node:crypto";
import { hostname, networkInterfaces } from "node:os";
import {
  createAutoProbe,
  createEtcdProbe,
  createHttpProbe,
  createTcpProbe,
  EndpointPool,
  endpointUrl,
  type Probe,
  parseEndpoints,
  type TlsMaterial,
} from "@etcd-edge/endpoints";
import {
  createAnnouncer,
  createBusMessenger,
  followAnnouncements,
  followPresences,
  openBus,
  presencePath,
  RollCall,
  reportPresence,
  topicOf,
} from "@etcd-edge/fabric";
import { loadOwnIdentity } from "@etcd-edge/identity";
import {
  type AppContext,
  createAdminRoutes,
  createMetrics,
  createReadiness,
  type HostPort,
  type Metrics,
  parseAdminAddress,
  parseListenAddress,
  type Service,
  startAdminServer,
  systemClock,
  version,
} from "@etcd-edge/runtime";
import type { DiscoveryConfig, HealthCheck } from "./command.ts";
import { Directory, type DirectoryEntry } from "./directory/directory.ts";
import { ZoneKeeper } from "./directory/zone-keeper.ts";
import { type DnsServer, startDnsServer } from "./dns/dns-server.ts";
import { RateLimit } from "./dns/rate-limit.ts";
import { describeFleet } from "./fleet/fleet.ts";
import { createFleetHandler } from "./fleet/fleet-api.ts";
import { createPresenceHandler } from "./fleet/presence-api.ts";
import { createEndpointsHandler } from "./http-api.ts";
import { createStatusPageHandler } from "./status-page.ts";
import { startRegistry } from "./tiers/start-registry.ts";
import { Tiers } from "./tiers/tiers.ts";
import { createUpstreamSources, readTls } from "./upstream-sources.ts";

/**
 * Puts discovery together: sources → pool (health) → directory → HTTP, DNS and announcements.
 * @throws ConfigError for what is wrong with the configuration or cannot be listened on
 */
export async function createApp(config: DiscoveryConfig, { logger }: AppContext): Promise<Service> {
  await using undo = new AsyncDisposableStack();
  const publisher = randomUUID();
  const metrics = createMetrics("discovery");
  const tls = await readTls(config);
  const own = loadOwnIdentity(
    { ...config, insecureSkipTlsVerify: false },
    parseEndpoints(config.endpoints).endpoints,
    logger,
  );
  const listen = parseListenAddress(config.listenAddr, "listen-addr");
  const dnsListen = config.dnsAddr === "" ? undefined : parseListenAddress(config.dnsAddr, "dns-addr");

  const name = `discovery ${publisher}`;
  const { bus, key } = openBus(config, { logger, metrics, name, alone: "announcing to nobody" });
  undo.use(bus);

  // From here to the directory nothing is awaited: probes that answer in between would find no directory.
  const upstream = undo.use(
    createUpstreamSources(config, {
      tls,
      own,
      logger,
      onMembers: () => queueMicrotask(() => directory.refresh()),
    }),
  );
  const pool = undo.use(
    new EndpointPool({
      source: upstream.endpoints,
      probe: createProbe(config.healthCheck as HealthCheck, tls), // the option's own check has seen to it
      probeIntervalMs: config.healthCheckInterval,
      probeTimeoutMs: config.healthCheckTimeout,
      onTransition: ({ endpoint, from, to }) => {
        const error = "error" in to ? { error: to.error } : {};
        logger.info("endpoint health changed", {
          endpoint: endpointUrl(endpoint),
          from: from.t,
          to: to.t,
          ...error,
        });
        directory.refresh();
      },
    }),
  );

  const topic = { bus, prefix: config.fabricPrefix, cluster: config.cluster };
  const announcer = undo.use(createAnnouncer({ ...topic, publisher }));
  const others = undo.use(followAnnouncements({ ...topic, onChange: () => directory.refresh() }));
  const directory = new Directory({
    cluster: config.cluster,
    source: upstream.endpoints,
    pool,
    peers: upstream.peers,
    heard: () => others.current(),
  });
  directory.subscribe(({ version }) => announcer.update(version, directory.own().map(toAnnounced)));
  undo.defer(upstream.endpoints.subscribe(() => directory.refresh()));
  directory.refresh();

  let tiers: Tiers | undefined;
  const rollCall = undo.use(
    new RollCall(() => {
      tiers?.refresh();
      registry?.registrations.update(rollCall.current());
    }),
  );
  undo.defer(followPresences(bus, config.fabricPrefix, rollCall));
  const registry = startRegistry(config, {
    source: upstream.endpoints,
    own,
    logger,
    onChange: () => tiers?.refresh(),
  });
  if (registry !== undefined) undo.use(registry);
  tiers = undo.use(
    new Tiers({
      cluster: config.cluster,
      present: () => rollCall.current(),
      registered: () => registry?.proxies.current().values() ?? [],
      probe: createAutoProbe(tls),
      probeIntervalMs: config.healthCheckInterval,
      probeTimeoutMs: config.healthCheckTimeout,
      logger,
      onChange: () => undefined, // whoever tells of it listens to the directories
    }),
  );
  const directories: ReadonlyMap<string, Directory> = new Map(tiers.all());
  for (const [name, one] of directories) {
    const tierTopic = { ...topic, cluster: topicOf(config.cluster, name) };
    const tierAnnouncer = undo.use(createAnnouncer({ ...tierTopic, publisher }));
    undo.defer(
      one.subscribe(({ version: changed }) => tierAnnouncer.update(changed, one.own().map(toAnnounced))),
    );
    tierAnnouncer.update(one.current().version, one.own().map(toAnnounced));
  }

  const dns =
    dnsListen === undefined
      ? undefined
      : await openDns(undo, { config, listen: dnsListen, directory, tiers: directories, logger, metrics });
  const rejected = metrics.counter({
    name: "etcd_edge_discovery_rejected_presences_total",
    help: "Presences that were posted and refused: not readable, or not sealed with the key.",
  });
  const fleet = { members: directory, tiers, present: () => rollCall.current() };
  const api = undo.use(
    await startAdminServer({
      address: { t: "tcp", ...listen, secure: false },
      routes: new Map([
        ["/", createStatusPageHandler()],
        [
          "/v1/endpoints",
          createEndpointsHandler((name) => (name === "members" ? directory : directories.get(name))),
        ],
        ["/v1/fleet", createFleetHandler(() => describeFleet(fleet))],
        [presencePath, createPresenceHandler({ rollCall, key, onRejected: () => rejected.inc() })],
      ]),
      logger,
    }),
  );

  const readiness = createReadiness();
  undo.use(
    reportPresence({
      messengers: [createBusMessenger(bus, config.fabricPrefix)],
      describe: () => ({
        id: publisher,
        tier: "discovery",
        name: hostname(),
        version,
        uptimeSeconds: process.uptime(),
        stats: { endpoints: directory.current().entries.length },
      }),
    }),
  );
  readiness.addCheck("endpoints", () =>
    directory.current().entries.length > 0 ? undefined : "no endpoint is known",
  );
  observeDirectory(metrics, directory);
  if (config.metricsAddr !== "") {
    const address = parseAdminAddress(config.metricsAddr);
    const routes = createAdminRoutes({ metrics, readiness });
    const admin = undo.use(await startAdminServer({ address, routes, logger }));
    logger.info("listening for metrics", { url: admin.url });
  }
  logger.info("ready to serve discovery requests", {
    url: api.url,
    ...(dns === undefined
      ? {}
      : { "dns-addr": `${dns.address.host}:${dns.address.port}`, domain: config.domain }),
  });
  return toService(undo.move(), () => readiness.startDraining());
}

/** Answers are short: there is nothing to wait for but what load balancers need to notice. */
function toService(owned: AsyncDisposableStack, startDraining: () => void): Service {
  return {
    drain: () => {
      startDraining();
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function createProbe(check: HealthCheck, tls: TlsMaterial): Probe {
  switch (check) {
    case "grpc":
      return createEtcdProbe(tls);
    case "http":
      return createHttpProbe(tls);
    case "auto":
      return createAutoProbe(tls);
    case "tcp":
      return createTcpProbe();
    default:
      return check satisfies never;
  }
}

async function openDns(
  undo: AsyncDisposableStack,
  {
    config,
    listen,
    directory,
    tiers,
    logger,
    metrics,
  }: {
    config: DiscoveryConfig;
    listen: HostPort;
    directory: Directory;
    tiers: ReadonlyMap<string, Directory>;
    logger: AppContext["logger"];
    metrics: Metrics;
  },
): Promise<DnsServer> {
  const zone = undo.use(
    new ZoneKeeper({
      directory,
      tiers,
      origin: config.domain.toLowerCase().replace(/\.$/, ""),
      ttlSeconds: Math.ceil(config.dnsTtl / 1_000),
      serverAddresses: reachedAt(listen.host),
      logger,
      clock: systemClock,
    }),
  );
  const queries = metrics.counter({
    name: "etcd_edge_dns_queries_total",
    help: "DNS queries answered, by transport and response code.",
    labelNames: ["via", "rcode"],
  });
  const limited = metrics.counter({
    name: "etcd_edge_dns_rate_limited_total",
    help: "Datagrams over the rate of their network.",
  });
  return undo.use(
    await startDnsServer({
      address: listen,
      zone: () => zone.current(),
      rateLimit: new RateLimit({ perSecond: config.dnsRateLimit, nowMs: () => systemClock.nowMs() }),
      logger,
      onQuery: (via, rcode) => queries.inc({ via, rcode: String(rcode) }),
      onLimited: () => limited.inc(),
    }),
  );
}

/** Addresses at which a listener on `host` is reached by others, for the zone's name server. */
function reachedAt(host: string): string[] {
  if (host !== "" && host !== "0.0.0.0" && host !== "::") return [host];
  const outside = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, address }) => !internal && !address.toLowerCase().startsWith("fe80"))
    .map(({ address }) => address);
  return outside.length > 0 ? outside : ["127.0.0.1"];
}

function observeDirectory(metrics: Metrics, directory: Directory): void {
  metrics.gauge({
    name: "etcd_edge_discovery_endpoints",
    help: "Endpoints known, by whether they would be used.",
    labelNames: ["alive"],
    collect: (gauge) => {
      const { entries } = directory.current();
      const alive = entries.filter(({ isAlive }) => isAlive).length;
      gauge.set({ alive: "true" }, alive);
      gauge.set({ alive: "false" }, entries.length - alive);
    },
  });
}

function toAnnounced({ endpoint, isAlive }: DirectoryEntry) {
  const { priority, weight, name } = endpoint;
  return {
    url: endpointUrl(endpoint),
    priority,
    weight,
    alive: isAlive,
    ...(name === undefined ? {} : { name }),
  };
}
