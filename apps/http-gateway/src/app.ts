import { setMaxListeners } from "node:events";
import { Epochs, type ReadCounts, ReadHub, ReadsUnderUser } from "@etcd-edge/coalesce";
import {
  ChannelBalancer,
  type Endpoint,
  endpointAddress,
  endpointUrl,
  followMembers,
  isTlsEndpoint,
  isUnixEndpoint,
  parseEndpoints,
  toChannelTarget,
} from "@etcd-edge/endpoints";
import {
  isDiscovered,
  joinRollCall,
  openNamedBus,
  openUpstreamSource,
  readFabricKey,
} from "@etcd-edge/fabric";
import { isStaleTokenText, loadOwnIdentity, ServiceIdentity, TokenNames } from "@etcd-edge/identity";
import {
  type AppContext,
  type ClientTls,
  ConfigError,
  createAdminRoutes,
  createMetrics,
  createReadiness,
  loadClientTls,
  loadServerTls,
  parseAdminAddress,
  parseListenAddress,
  type Service,
  startAdminServer,
  systemClock,
} from "@etcd-edge/runtime";
import { Channel, createCounters, writeDue } from "@etcd-edge/transport";
import {
  createExplainFabric,
  createExplainWatch,
  createReadMembers,
  exposeReads,
  exposeWatches,
  findNoTransform,
  identityOfCredential,
  joinFabric,
  logHubEvent,
  toWatchOptions,
  WatchService,
} from "@etcd-edge/watching";
import type { DoorOptions } from "./door/http-door.ts";
import { RequestMemo } from "./door/request-memo.ts";
import { createCorsPolicy } from "./front/cors.ts";
import { createHostWhitelist } from "./front/host-whitelist.ts";
import { createFindClient } from "./limits/client-key.ts";
import { createClientLimits } from "./limits/client-limits.ts";
import { openLimitStore } from "./limits/limit-store.ts";
import { type Config, options } from "./options.ts";
import { createPages } from "./pages/pages.ts";
import { versionBody } from "./pages/version.ts";
import { detectProfile } from "./profile/detect-profile.ts";
import { profileV1, profileV2 } from "./profile/json-profile.ts";
import { DetectedProfile } from "./profile/profile-source.ts";
import { PageSizes, targetPageBytes } from "./range/page-sizes.ts";
import { RangeStreams } from "./range/range-streams.ts";
import { createDoorMetrics } from "./server/door-metrics.ts";
import { startGatewayServer } from "./server/gateway-server.ts";
import { exposeTransportCounters } from "./server/transport-metrics.ts";
import { createBalancedUpstream } from "./upstream/balanced-upstream.ts";
import { askEtcdVersion } from "./upstream/etcd-version.ts";
import { createHttpQuestions } from "./upstream/http-questions.ts";
import { createNotedTokens } from "./upstream/noted-tokens.ts";
import { createSharedReads } from "./upstream/shared-reads.ts";
import { createTurnEnd, landAtTurnEnd } from "./upstream/turn-end.ts";
import { createOpenWatch } from "./watch/watch-host.ts";
import { createWebSocketDoor } from "./websocket/websocket-door.ts";

/** A running gateway, and where it listens. */
export interface HttpGateway extends Service {
  readonly url: string;
}

/** etcd lets a message be this much longer than `--max-request-bytes`. */
const grpcOverheadBytes = 512 * 1024;
/** Names, quotes and small fields around the base64 of a request. */
const jsonOverheadBytes = 64 * 1024;

/** etcd ends connections that ping more often than every 5 s. */
const keepalive = { timeMs: 10_000, timeoutMs: 10_000, withoutStreams: false };
/** An etcd member restarts in about a second: longer pauses between attempts would only lengthen an outage. */
const maxReconnectMs = 2_000;
/** Connections that streams to one endpoint may spread over when the server limits streams per connection. */
const maxStreamConnections = 8;

/** The whole stack of the tier, from the checks of the configuration to the listener. */
export async function startHttpGateway(config: Config, { logger }: AppContext): Promise<HttpGateway> {
  await using undo = new AsyncDisposableStack();

  const given = parseEndpoints(config.endpoints);
  if (given.errors.length > 0) throw new ConfigError(given.errors.join("\n"));
  if (!isDiscovered(config) && given.endpoints.length === 0) throw new ConfigError("no endpoints found");
  const address = parseListenAddress(config.listenAddr, "listen-addr");
  const cors = createCorsPolicy(config.cors);
  const findClient = createFindClient(config.trustedProxies);
  const clientTls = loadClientTls(config, logger);
  const own = loadOwnIdentity(config, given.endpoints, logger);
  const ownTls = own?.tls ?? clientTls;
  const serverTls = await loadServerTls(config, { address: config.listenAddr, versions: {}, logger });
  if (serverTls === undefined && config.clientCrlFile !== "")
    logger.warn("--client-crl-file has no effect without TLS");

  const report = (error: unknown): void => logger.error("call failed", { error });
  const metrics = createMetrics("http-gateway");
  const readiness = createReadiness();
  const counters = createCounters();
  exposeTransportCounters(metrics, counters);
  const opened = openNamedBus(config, {
    ...{ tier: "http-gateway", alone: "watching at etcd directly" },
    ...{ logger, metrics },
  });
  if (opened !== undefined) undo.use(opened.bus);
  const seeds = undo.use(
    await openUpstreamSource(config, {
      listed: given.endpoints,
      isListGiven: config.endpoints !== options.endpoints.default,
      opened,
      self: { tier: "http-gateway", isAdvertised: config.advertiseUrl !== "" },
      ca: clientTls?.current().ca,
      logger,
    }),
  );
  const intervalMs = config.endpointsAutoSyncInterval;
  const source =
    intervalMs > 0
      ? undo.use(followMembers({ seeds, intervalMs, tls: ownTls, user: own?.credential, logger }))
      : seeds;
  const createBalancer = (tls: ClientTls | undefined): ChannelBalancer =>
    new ChannelBalancer({
      source,
      outlierFailures: config.outlierFailures,
      createChannel: (endpoint, use, tells) =>
        new Channel({
          ...toChannelTarget(endpoint, tls),
          keepalive,
          counters,
          backoff: { maxMs: maxReconnectMs },
          maxConnections: use === "streams" ? maxStreamConnections : 1,
          ...tells,
          onSinkError: report,
        }),
      onTransition: ({ endpoint, from, to }) =>
        logger.info("endpoint changed", { address: endpointAddress(endpoint), from: from.t, to: to.t }),
    });
  const balancer = undo.use(createBalancer(clientTls));
  const names = new TokenNames();
  const direct = createNotedTokens(createBalancedUpstream(balancer), names);
  const turnEnd = createTurnEnd(writeDue);
  const createReads = (over: ChannelBalancer, counts?: ReadCounts) =>
    new ReadHub({
      members: landAtTurnEnd(createReadMembers(over), turnEnd),
      clock: systemClock,
      defer: turnEnd,
      ...(counts && { counts }),
    });
  const ownReads = createReads(balancer);
  // Our own identity never shares a connection with clients (rule 8).
  const service =
    own &&
    undo.use(
      new ServiceIdentity({
        balancer: undo.use(createBalancer(ownTls)),
        own: own.credential,
        clock: systemClock,
        onRefused: (error) =>
          logger.warn("etcd does not let the gateway act as its own user", {
            user: own.credential.user,
            error,
          }),
        onAuthChanged: () => {
          watches.forgetPermissions();
          underUser?.forgetPermissions();
        },
      }),
    );
  const underUser =
    service &&
    new ReadsUnderUser({
      clock: systemClock,
      rememberMs: config.authRecheck,
      own: ownReads,
      ours: createReads(service.balancer, ownReads.counts),
      credential: service.credential,
      ask: (credential, range) => watches.askPermission(identityOfCredential(credential), range),
      onRefused: ({ message }) => {
        if (isStaleTokenText(message)) void service.refresh();
      },
    });
  exposeReads(metrics, ownReads.counts, underUser);
  const upstream = config.shareReads
    ? createSharedReads(direct, { hub: underUser ?? ownReads, clock: systemClock })
    : direct;
  readiness.addCheck("etcd", () => (balancer.hasHealthy() ? undefined : "no etcd endpoint is healthy"));

  const questions = createHttpQuestions(() => toOrigins(source.current().endpoints, clientTls), clientTls);
  const askVersion = (): Promise<string | undefined> => askEtcdVersion(upstream);
  const detected = new DetectedProfile({
    detect: () => detectProfile({ askDoor: questions.post, askVersion }),
    clock: systemClock,
    logger,
  });
  const profile = chooseProfile(config.jsonProfile, detected);

  const epochs = new Epochs(() => crypto.randomUUID());
  const fabric = await joinFabric(opened, config, {
    ...{ tier: "http-gateway", namespace: "" },
    ...{ balancer, logger, metrics, epochs },
  });
  if (fabric !== undefined) undo.use(fabric);
  const watches: WatchService = undo.use(
    new WatchService({
      balancer,
      findTransform: findNoTransform,
      clock: systemClock,
      names,
      ...(service && { service }),
      ...toWatchOptions(config),
      onEvent: (event) => logHubEvent(event, logger),
      share: fabric?.share,
      epochs,
    }),
  );
  fabric?.attach(watches);
  balancer.onRepinned((clusterId) => {
    epochs.repinned(clusterId);
    // etcd may wait for ever for the raft index that a token of the cluster before names.
    void service?.refresh();
    watches.repin();
  });
  exposeWatches(metrics, watches);
  const doorMetrics = createDoorMetrics(metrics);
  const limitStore = undo.use(await openLimitStore(config, logger));
  const draining = new AbortController();
  // Every open stream listens: thousands are not a leak.
  setMaxListeners(0, draining.signal);
  const messageBytes = config.maxRequestBytes + grpcOverheadBytes;
  const door: DoorOptions = {
    clock: systemClock,
    pageSizes: new PageSizes(targetPageBytes),
    rangeStreams: new RangeStreams(systemClock),
    requestMemo: new RequestMemo(),
    limits: createClientLimits({
      findClient,
      createRateLimiter: limitStore.createRateLimiter,
      requestsPerSecond: config.rateLimit,
      burst: config.rateLimitBurst,
      maxStreams: config.maxStreamsPerClient,
      onRefused: doorMetrics.refused,
      onStoreFailed: (error) => logger.warn("the store of the rate limits failed", { error }),
    }),
    jsonLimits: { maxDepth: config.maxJsonDepth, maxValues: config.maxJsonValues },
    bodyTimeoutMs: config.requestBodyTimeout,
    writeTimeoutMs: config.writeTimeout,
    heartbeatMs: config.eventsHeartbeatInterval,
    upstream,
    openWatch: createOpenWatch(watches),
    profile,
    maxBodyBytes: Math.ceil((messageBytes * 4) / 3) + jsonOverheadBytes,
    forwardAllHeaders: config.forwardHeaders,
    draining: draining.signal,
    report,
  };
  const webSockets = createWebSocketDoor({
    ...door,
    pingIntervalMs: config.websocketPingInterval,
  });
  doorMetrics.countWebSockets(() => webSockets.size);
  const admin = createAdminRoutes({ metrics, readiness });
  const version = (): Promise<string | undefined> => versionBody({ questions, askVersion });
  const pages = await createPages({ upstream, profile, version, admin, report, hasDocs: config.docs });

  if (config.metricsAddr !== "") {
    const adminServer = await startAdminServer({
      address: parseAdminAddress(config.metricsAddr),
      // Here only: it names clients' keys.
      routes: new Map([
        ...admin,
        ["/explain/watch", createExplainWatch(watches)],
        ...(fabric === undefined ? [] : [["/explain/fabric", createExplainFabric(fabric)] as const]),
      ]),
      logger,
      ...(serverTls === undefined ? {} : { tls: serverTls }),
    });
    undo.use(adminServer);
    logger.info("listening for metrics", { address: adminServer.url });
  }
  const server = undo.use(
    await startGatewayServer({
      address,
      tls: serverTls,
      front: {
        hostWhitelist: serverTls === undefined ? createHostWhitelist(config.hostWhitelist) : undefined,
        cors,
        onHostRejected: (host) => {
          doorMetrics.hostRejected();
          logger.warn("rejecting HTTP request to prevent DNS rebinding attacks", { host });
        },
      },
      door,
      webSockets,
      pages,
      metrics: doorMetrics,
      connections: {
        maxConnections: config.maxConnections,
        headerTimeoutMs: config.requestHeaderTimeout,
        writeTimeoutMs: config.writeTimeout,
        hasFastLane: config.fastLane,
      },
    }),
  );
  // So that the first request need not wait for it.
  if (config.jsonProfile === "auto") void detected.current();
  logger.info("ready to serve client requests", {
    address: server.url,
    endpoints: isDiscovered(config) ? seeds.current().endpoints.map(endpointUrl) : config.endpoints,
  });

  const presence = joinRollCall({
    tier: "http-gateway",
    url: config.advertiseUrl,
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
    url: server.url,
    drain: async (deadline) => {
      readiness.startDraining();
      presence?.tell();
      const closed = server.closeGently();
      await fabric?.drain(); // while clients are still served: what others live on is theirs before it ends here
      watches.drain();
      draining.abort();
      webSockets.close();
      await Promise.race([closed, aborted(deadline)]);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Where the HTTP side of endpoints is to be asked. */
function toOrigins(endpoints: readonly Endpoint[], tls: ClientTls | undefined): string[] {
  return endpoints
    .filter((endpoint) => !isUnixEndpoint(endpoint))
    .map((endpoint) => {
      const secure = isTlsEndpoint(endpoint) || (endpoint.scheme === "any" && tls !== undefined);
      return `${secure ? "https" : "http"}://${endpointAddress(endpoint)}`;
    });
}

function chooseProfile(name: string, detected: DetectedProfile): DoorOptions["profile"] {
  if (name === "v1") return () => profileV1;
  if (name === "v2") return () => profileV2;
  return () => detected.current();
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
