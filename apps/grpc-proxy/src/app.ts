import { createServer as createHttpServer } from "node:http";
import { hostname } from "node:os";
import { Epochs, LeaseBook } from "@etcd-edge/coalesce";
import {
  ChannelBalancer,
  type Endpoint,
  endpointAddress,
  followMembers,
  parseEndpoints,
  toChannelTarget,
} from "@etcd-edge/endpoints";
import { joinRollCall, openNamedBus, openUpstreamSource, readFabricKey } from "@etcd-edge/fabric";
import { loadOwnIdentity, ServiceIdentity, TokenNames } from "@etcd-edge/identity";
import { survivesAlarmNone } from "@etcd-edge/proto";
import {
  type AppContext,
  type ClientTls,
  ConfigError,
  createAdminRoutes,
  createMetrics,
  createReadiness,
  createRequestListener,
  formatHostPort,
  type HostPort,
  loadClientTls,
  parseAdminAddress,
  parseListenAddress,
  type Service,
  startAdminServer,
  systemClock,
} from "@etcd-edge/runtime";
import { Channel, createCounters, Server } from "@etcd-edge/transport";
import {
  createExplainFabric,
  createExplainWatch,
  exposeReads,
  exposeWatches,
  joinFabric,
  logHubEvent,
  toWatchOptions,
  WatchService,
} from "@etcd-edge/watching";
import { exposeAdmissions } from "./admission/admission-metrics.ts";
import { Admissions } from "./admission/admissions.ts";
import { createCertificateUsers } from "./create-certificate-users.ts";
import { startProfiles } from "./http/profiles.ts";
import { createRoutes } from "./http/routes.ts";
import { createSelfCheck } from "./http/self-check.ts";
import { createRenewalUpstream } from "./lease/renewal-upstream.ts";
import { toListenError } from "./listen-error.ts";
import { loadListenerTls } from "./listener-tls.ts";
import {
  exposeCallCounters,
  exposeHealth,
  exposeLeaseBook,
  exposeSharing,
  exposeTransportCounters,
} from "./metrics.ts";
import type { NamespacePolicy } from "./namespace/scoping.ts";
import { createTransforms } from "./namespace/transforms.ts";
import { type Config, options } from "./options.ts";
import { RevisionFloors } from "./ordering/revision-floors.ts";
import { exposeCache, exposeStore, summariseCache } from "./reads/cache-metrics.ts";
import { toCacheLimits } from "./reads/cache-options.ts";
import { createEpochProbe } from "./reads/epoch-probe.ts";
import { openStore } from "./reads/open-store.ts";
import { ReadService } from "./reads/read-service.ts";
import { refuseUnservedOptions } from "./refused-options.ts";
import { startRegistry } from "./registry/start-registry.ts";
import { createCallCounters } from "./relay/call-counters.ts";
import type { ClientState } from "./relay/client-state.ts";
import { logPayloads } from "./relay/payload-log.ts";
import { createRelay } from "./relay/relay.ts";
import { logServerEvent } from "./server-log.ts";
import { toChannelOptions, toServerOptions } from "./transport-options.ts";
import { checkConfig } from "./validate-config.ts";

/** A running proxy. */
export interface GrpcProxy extends Service {
  /** Where it listens; with port 0 asked, the port it got. */
  readonly address: HostPort;
}

/**
 * Puts the proxy together, from etcd up to the listener:
 *
 *     endpoints ─▶ balancer (channels, health) ─▶ relay ─▶ transport server ─▶ clients
 *                                                 HTTP/1.1 on the same port ─▶ /health, /metrics
 *
 * Serves at once, whether or not etcd is there; /readyz says which.
 * @throws ConfigError with what is wrong before any socket opens, or where the address cannot be bound
 */
export async function startGrpcProxy(config: Config, { logger }: AppContext): Promise<GrpcProxy> {
  refuseUnservedOptions(config);
  checkConfig(config);
  const listen = parseListenAddress(config.listenAddr, "listen-addr");
  const serverTls = await loadListenerTls(config, { listen, logger });
  const clientTls = loadClientTls(config, logger);
  if (config.insecureSkipTlsVerify)
    logger.warn("the proxy will not verify TLS certificates of etcd endpoints");
  const admin = config.metricsAddr === "" ? undefined : parseAdminAddress(config.metricsAddr);
  const given = parseEndpoints(config.endpoints);
  if (given.errors.length > 0) throw new ConfigError(given.errors.join("\n"));

  const own = loadOwnIdentity(config, given.endpoints, logger);
  const ownTls = own?.tls ?? clientTls;
  await using undo = new AsyncDisposableStack();
  const metrics = createMetrics("grpc-proxy");
  const opened = openNamedBus(config, {
    ...{ tier: "grpc-proxy", alone: "watching at etcd directly" },
    ...{ logger, metrics },
  });
  if (opened !== undefined) undo.use(opened.bus);
  const seeds = undo.use(
    await openUpstreamSource(config, {
      listed: given.endpoints,
      isListGiven: config.endpoints !== options.endpoints.default,
      opened,
      self: { tier: "grpc-proxy", isAdvertised: config.advertiseClientUrl !== "" },
      ca: clientTls?.current().ca,
      logger,
    }),
  );
  const intervalMs = config.endpointsAutoSyncInterval;
  const source =
    intervalMs > 0
      ? undo.use(followMembers({ seeds, intervalMs, tls: ownTls, user: own?.credential, logger }))
      : seeds;
  const counters = { client: createCounters(), etcd: createCounters() };
  const createBalancer = (tls: ClientTls | undefined): ChannelBalancer =>
    new ChannelBalancer({
      source,
      outlierFailures: config.outlierFailures,
      createChannel: (endpoint, _use, tells) =>
        new Channel({
          ...toChannelTarget(endpoint, tls),
          ...toChannelOptions(config, counters.etcd),
          ...tells,
          onSinkError: (error) => logger.error("relay failed", { error }),
        }),
      onTransition: ({ endpoint, from, to }) =>
        logger.info("endpoint changed", {
          address: endpointAddress(endpoint),
          from: from.t,
          to: to.t,
          ...("error" in to ? { error: to.error } : {}),
        }),
      onRepinned: (clusterId, before) =>
        logger.warn("another cluster has taken the place of the one before", {
          "cluster-id": clusterId.toString(16),
          "previous-cluster-id": before.toString(16),
        }),
    });
  const balancer = undo.use(createBalancer(clientTls));

  const names = new TokenNames();
  // Our own identity never shares a connection with clients (rule 8).
  const ownBalancer = own === undefined ? undefined : undo.use(createBalancer(ownTls));
  const service =
    own && ownBalancer
      ? undo.use(
          new ServiceIdentity({
            balancer: ownBalancer,
            own: own.credential,
            clock: systemClock,
            onRefused: (error) =>
              logger.warn("etcd does not let the proxy act as its own user", {
                user: own.credential.user,
                error,
              }),
            onAuthChanged: () => {
              watches.forgetPermissions();
              reads?.forgetPermissions();
            },
          }),
        )
      : undefined;
  const users = createCertificateUsers(config, service);
  const leaseBook = undo.use(
    new LeaseBook({
      open: createRenewalUpstream(balancer, (credential) => users?.resolve(credential) ?? credential),
      clock: { ...systemClock, wallMs: () => Date.now() },
    }),
  );
  const findTransform = createTransforms(
    config.namespace,
    config.namespacePolicy as NamespacePolicy,
    // A member that is not in the set may be older; there is no asking it.
    () => balancer.upstreams().every((one) => survivesAlarmNone(balancer.memberOf(one)?.version ?? "")),
  );
  const floors = config.experimentalSerializableOrdering ? new RevisionFloors() : undefined;
  const epochs = new Epochs(() => crypto.randomUUID());
  const fabric = await joinFabric(opened, config, {
    ...{ tier: "grpc-proxy", namespace: config.namespace },
    ...{ balancer, logger, metrics, epochs },
  });
  if (fabric !== undefined) undo.use(fabric);
  const probe = createEpochProbe(ownBalancer ?? balancer, own?.credential);
  const store = config.shareReads
    ? await openStore(config, { clock: systemClock, logger, epochs, probe })
    : undefined;
  if (store !== undefined) undo.use(store);
  const forgetHistory = (): void => {
    floors?.forget();
    reads?.forget();
  };
  epochs.onChange(({ t }) => {
    if (t !== "named") forgetHistory();
  });
  const watches: WatchService = undo.use(
    new WatchService({
      balancer,
      findTransform,
      clock: systemClock,
      names,
      ...(service === undefined ? {} : { service }),
      ...toWatchOptions(config),
      onEvent: (event) => {
        if (event.t === "historyReplaced") forgetHistory();
        logHubEvent(event, logger);
      },
      share: fabric?.share,
      epochs,
    }),
  );
  balancer.onRepinned((clusterId) => {
    epochs.repinned(clusterId);
    forgetHistory();
    // etcd may wait for ever for the raft index that a token of the cluster before names.
    void service?.refresh();
    watches.repin();
  });
  const admissions = new Admissions(
    {
      concurrent: {
        read: config.maxConcurrentReads,
        range: config.maxConcurrentRanges,
        write: config.maxConcurrentWrites,
      },
      queue: config.maxQueuedRequests,
      maxWaitMs: config.maxQueueWait,
    },
    systemClock,
  );
  const maxSendBytes = config.maxSendBytes > 0 ? config.maxSendBytes : Number.POSITIVE_INFINITY;
  const reads = config.shareReads
    ? new ReadService({
        balancer,
        admissions,
        findTransform,
        clock: systemClock,
        maxSendBytes,
        unsharedPrefixes: config.unsharedReadPrefixes,
        watches,
        service,
        authRecheckMs: config.authRecheck,
        isCaching: config.cacheReads,
        isScoped: config.namespace !== "",
        limits: toCacheLimits(config),
        remote: store?.answers,
        floors,
      })
    : undefined;
  if (reads !== undefined) undo.use(reads);
  fabric?.attach(watches, reads?.cache.floor);
  const calls = createCallCounters();
  exposeCallCounters(metrics, calls);
  exposeTransportCounters(metrics, counters);
  exposeLeaseBook(metrics, leaseBook);
  exposeWatches(metrics, watches);
  exposeAdmissions(metrics, admissions);
  if (reads !== undefined) {
    exposeReads(metrics, reads.counts, reads.desk);
    exposeCache(metrics, reads);
  }
  if (store !== undefined) exposeStore(metrics, store);
  exposeSharing(
    metrics,
    () => watches.sharing(),
    () => summariseCache(reads),
  );
  const counts = { successes: 0, failures: 0 };
  exposeHealth(metrics, counts);
  const advertiseClientUrl = config.advertiseClientUrl.replaceAll("{hostname}", hostname());
  const self = undo.use(createSelfCheck(findOwnEndpoint(advertiseClientUrl), serverTls));
  const { namespace } = config;
  const routes = createRoutes({ balancer, clientTls, metrics, namespace, selfCheck: self.check, counts });
  const profiles = config.enablePprof ? undo.use(await startProfiles()).routes : [];
  const http = createHttpServer(
    createRequestListener(new Map([...routes, ...profiles]), (error) =>
      logger.warn("HTTP request failed", { error }),
    ),
  );
  const registry = undo.use(
    startRegistry(
      { ...config, advertiseClientUrl },
      {
        balancer: ownBalancer ?? balancer,
        own: own?.credential,
        hostname: hostname(),
        logger,
      },
    ),
  );
  const relay = createRelay({
    balancer,
    counters: calls,
    upstreamWaitMs: config.upstreamWait,
    upstreamReadWaitMs: config.upstreamReadWait,
    maxSendBytes,
    clock: systemClock,
    findTransform,
    watches,
    names,
    users,
    reads,
    admissions,
    sharesMessages: !config.experimentalEnableGrpcLogging,
    localAnswers: registry.localAnswers,
    leaseBook,
    floors,
  });
  const server = undo.use(
    new Server<ClientState>({
      ...toServerOptions(config, http, counters.client),
      ...(serverTls === undefined ? {} : { tls: serverTls.options, onTlsListener: serverTls.protect }),
      onCall: config.experimentalEnableGrpcLogging ? logPayloads(relay, logger) : relay,
      onEvent: (event) => logServerEvent(event, logger),
    }),
  );
  const bound = await server.listen({ host: listen.host, port: listen.port }).catch((error: unknown) => {
    throw toListenError(config.listenAddr, error);
  });
  const address = { host: bound.address, port: bound.port };
  logger.info("listening for gRPC proxy client requests", { address: formatHostPort(address) });

  const readiness = createReadiness();
  readiness.addCheck("etcd", () => (balancer.hasHealthy() ? undefined : "no etcd endpoint is healthy"));
  if (admin !== undefined) {
    const adminRoutes = new Map([...createAdminRoutes({ metrics, readiness }), ...routes]);
    // Here only: it names clients' keys.
    adminRoutes.set("/explain/watch", createExplainWatch(watches));
    if (fabric !== undefined) adminRoutes.set("/explain/fabric", createExplainFabric(fabric));
    const options = { address: admin, routes: adminRoutes, logger };
    const listener = undo.use(
      await startAdminServer(serverTls === undefined ? options : { ...options, tls: serverTls }),
    );
    logger.info("gRPC proxy listening for metrics", { address: listener.url });
  }
  logger.info("started gRPC proxy", {
    address: formatHostPort(address),
    "advertise-client-url": advertiseClientUrl,
  });
  registry.register();

  const presence = joinRollCall({
    tier: "grpc-proxy",
    url: advertiseClientUrl,
    discoveryUrls: config.discoveryUrl,
    key: opened?.key ?? readFabricKey(config),
    bus: fabric?.messenger,
    notReady: () => readiness.problem(),
    stats: () => Object.fromEntries(watches.stats()),
    logger,
  });
  if (presence !== undefined) undo.use(presence);

  const owned = undo.move();
  return {
    address,
    drain: async (deadline) => {
      readiness.startDraining();
      presence?.tell();
      await registry[Symbol.asyncDispose](); // before the GOAWAY: who looks for another proxy must not find this one
      http.closeIdleConnections();
      await fabric?.drain(); // while clients are still served: what others live on is theirs before it ends here
      watches.drain();
      deadline.addEventListener("abort", () => server.destroy(), { once: true });
      await server.close(config.shutdownGracePeriod);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What clients are told to dial, where that is an address at all. */
function findOwnEndpoint(advertiseClientUrl: string): Endpoint | undefined {
  return advertiseClientUrl === "" ? undefined : parseEndpoints([advertiseClientUrl]).endpoints[0];
}
