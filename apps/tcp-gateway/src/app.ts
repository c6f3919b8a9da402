import { readFile } from "node:fs/promises";
import {
  type ConfiguredSource,
  type Endpoint,
  EndpointPool,
  endpointAddress,
  parseEndpoints,
} from "@etcd-edge/endpoints";
import {
  createBusMessenger,
  isDiscovered,
  joinRollCall,
  openNamedBus,
  openUpstreamSource,
  readFabricKey,
} from "@etcd-edge/fabric";
import {
  type AppContext,
  ConfigError,
  createAdminRoutes,
  createMetrics,
  createReadiness,
  parseAdminAddress,
  type Service,
  startAdminServer,
  systemClock,
} from "@etcd-edge/runtime";
import { checkEndpoints, checkListenAddress } from "./address-checks.ts";
import { type GatewayConfig, type HealthCheck, hasExplicitEndpoints } from "./command.ts";
import { Gateway } from "./gateway/gateway.ts";
import { createGatewayCounters } from "./gateway/gateway-metrics.ts";
import { createProbe, withoutSelf } from "./health-checks.ts";
import { logTransition } from "./health-log.ts";
import { encodeOwnHeader } from "./proxy-protocol/proxy-header.ts";

/** `--retry-delay 0` means this, as in etcd. */
const retryDelayOfZeroMs = 5 * 60_000;

/** A running gateway. */
export type GatewayApp = Service & { readonly address: string };

/**
 * Puts the gateway together and opens its listeners.
 * @throws ConfigError with every problem of the configuration that can be found before a socket opens
 */
export async function createApp(config: GatewayConfig, { logger }: AppContext): Promise<GatewayApp> {
  await using undo = new AsyncDisposableStack();
  const check = config.healthCheck as HealthCheck; // the option's own check has seen to it
  const proxyVersion =
    config.sendProxyProtocol === "" ? undefined : config.sendProxyProtocol === "v1" ? 1 : 2;
  if (config.reusePort && config.listenAddr.startsWith("unix:"))
    throw new ConfigError("--reuse-port means nothing for a unix socket");
  if (check === "grpc" && proxyVersion !== undefined)
    throw new ConfigError("--health-check=grpc excludes --send-proxy-protocol: use auto, http or tcp");
  const listed = parseEndpoints(config.endpoints);
  const listen = await checkListenAddress(config.listenAddr);
  const tls = await readCheckTls(config);
  const metrics = createMetrics("tcp-gateway");
  const fabric = openNamedBus(config, {
    ...{ tier: "tcp-gateway", alone: "following nobody" },
    ...{ logger, metrics },
  });
  if (fabric !== undefined) undo.use(fabric.bus);
  const endpoints: ConfiguredSource = undo.use(
    await openUpstreamSource(config, {
      listed: listed.endpoints,
      isListGiven: hasExplicitEndpoints(config),
      opened: fabric,
      self: { tier: "tcp-gateway", isAdvertised: config.advertiseUrl !== "" },
      ca: tls.ca,
      logger,
    }),
  );
  const given = isDiscovered(config) ? endpoints.current().endpoints : listed.endpoints;
  // Names are looked up only once the texts are right, as etcd's gateway does.
  const reachable = listed.errors.length > 0 ? [] : await checkEndpoints(given, listen.value);
  const errors = [...listed.errors, ...listen.errors, ...reachable];
  if (!isDiscovered(config) && config.endpoints.length === 0) errors.push("no endpoints found");
  if (errors.length > 0 || listen.value === undefined) throw configError(errors);

  const retryDelayMs = config.retryDelay === 0 ? retryDelayOfZeroMs : config.retryDelay;
  let gateway: Gateway | undefined;
  const pool = undo.use(
    new EndpointPool({
      source: endpoints,
      // Who demands a PROXY header demands it of checks, too.
      probe: withoutSelf(
        createProbe(
          check,
          proxyVersion === undefined ? tls : { ...tls, preamble: encodeOwnHeader(proxyVersion) },
        ),
        listen.value,
      ),
      probeIntervalMs: check === "none" ? undefined : config.healthCheckInterval,
      probeTimeoutMs: config.healthCheckTimeout,
      policy: {
        minRetryMs: check === "none" ? retryDelayMs : Math.min(250, retryDelayMs),
        maxRetryMs: retryDelayMs,
      },
      activityOf: (endpoint) => gateway?.bytesFrom(endpoint) ?? 0,
      onTransition: (transition) => logTransition(logger, transition),
      onRemoved: (endpoint) => {
        const graceMs = config.removedEndpointGracePeriod;
        const closing = graceMs > 0 ? (gateway?.leave(endpoint, graceMs) ?? 0) : 0;
        logger.info("endpoint removed", {
          address: endpointAddress(endpoint),
          "closing-connections": closing,
        });
      },
    }),
  );

  gateway = undo.use(
    await Gateway.listen(listen.value, {
      upstreams: upstreamsOf(pool, endpoints),
      dialTimeoutMs: config.dialTimeout,
      limits: {
        maxConnections: config.maxConnections,
        maxConnectionsPerAddress: config.maxConnectionsPerAddress,
        idleTimeoutMs: config.idleTimeout,
      },
      acceptsProxyHeader: config.acceptProxyProtocol,
      sendsProxyHeader: proxyVersion,
      reusePort: config.reusePort,
      clock: systemClock,
      counters: createGatewayCounters(metrics, {
        open: () => gateway?.openConnections ?? 0,
        endpoints: () => pool.snapshot(),
      }),
      logger,
    }),
  );

  const readiness = createReadiness();
  readiness.addCheck("endpoints", () => (pool.hasUsable() ? undefined : "no endpoint is usable"));
  if (config.metricsAddr !== "") {
    const routes = createAdminRoutes({ metrics, readiness });
    const admin = undo.use(
      await startAdminServer({ address: parseAdminAddress(config.metricsAddr), routes, logger }),
    );
    logger.info("listening for metrics", { url: admin.url });
  }

  const { address } = gateway;
  const presence = joinRollCall({
    tier: "tcp-gateway",
    url: config.advertiseUrl,
    discoveryUrls: config.discoveryUrl,
    key: fabric?.key ?? readFabricKey(config),
    bus: fabric && createBusMessenger(fabric.bus, config.fabricPrefix),
    notReady: () => readiness.problem(),
    stats: () => ({ connections: gateway?.openConnections ?? 0 }),
    logger,
  });
  if (presence !== undefined) undo.use(presence);
  logger.info("ready to proxy client requests", {
    endpoints: given.map(endpointAddress),
    "listen-addr": address,
  });
  return toService(address, { gateway, readiness, presence, owned: undo.move() });
}

function toService(
  address: string,
  {
    gateway,
    readiness,
    presence,
    owned,
  }: {
    gateway: Gateway;
    readiness: { startDraining(): void };
    presence: { tell(): void } | undefined;
    owned: AsyncDisposableStack;
  },
): GatewayApp {
  return {
    address,
    drain: (deadline) => {
      readiness.startDraining();
      presence?.tell();
      return gateway.drain(deadline);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function upstreamsOf(pool: EndpointPool, endpoints: ConfiguredSource) {
  return {
    pick: (tried: ReadonlySet<string>): Endpoint | undefined => pool.pick(tried),
    reportUnreachable: (endpoint: Endpoint, error: string): void => {
      pool.reportUnreachable(endpoint, error);
      endpoints.refresh(); // perhaps it has moved
    },
  };
}

/** On standard output without a newline, as etcd's gateway prints what it finds wrong with its addresses. */
function configError(errors: readonly string[]): ConfigError {
  return new ConfigError(errors.join("\n"), { stream: "stdout", newline: false });
}

async function readCheckTls(config: GatewayConfig): Promise<{ ca?: string; cert?: string; key?: string }> {
  const read = async (file: string): Promise<string> => {
    try {
      return await readFile(file, "utf8");
    } catch (error) {
      throw new ConfigError(error instanceof Error ? error.message : String(error), { cause: error });
    }
  };
  const { trustedCaFile, healthCheckCertFile, healthCheckKeyFile } = config;
  return {
    ...(trustedCaFile === "" ? {} : { ca: await read(trustedCaFile) }),
    ...(healthCheckCertFile === "" ? {} : { cert: await read(healthCheckCertFile) }),
    ...(healthCheckKeyFile === "" ? {} : { key: await read(healthCheckKeyFile) }),
  };
}
