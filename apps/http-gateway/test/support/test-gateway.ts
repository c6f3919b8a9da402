import { createMetrics, type Metrics, type ServerTls, silentLogger, systemClock } from "@etcd-edge/runtime";
import type { DoorOptions } from "../../src/door/http-door.ts";
import { RequestMemo } from "../../src/door/request-memo.ts";
import { createCorsPolicy } from "../../src/front/cors.ts";
import { createHostWhitelist } from "../../src/front/host-whitelist.ts";
import { defaultJsonLimits } from "../../src/json/json-scanner.ts";
import type { ClientLimits } from "../../src/limits/client-limits.ts";
import { createPages } from "../../src/pages/pages.ts";
import type { JsonProfile } from "../../src/profile/json-profile.ts";
import { PageSizes, targetPageBytes } from "../../src/range/page-sizes.ts";
import { RangeStreams } from "../../src/range/range-streams.ts";
import { createDoorMetrics } from "../../src/server/door-metrics.ts";
import { type GatewayServer, startGatewayServer } from "../../src/server/gateway-server.ts";
import type { Upstream } from "../../src/upstream/upstream.ts";
import { createOpenWatch } from "../../src/watch/watch-host.ts";
import { createWebSocketDoor } from "../../src/websocket/websocket-door.ts";
import { RelayedWatches } from "./relayed-watches.ts";

export interface TestGatewayOptions {
  readonly upstream: Upstream;
  readonly profile: JsonProfile;
  readonly cors?: readonly string[];
  readonly hostWhitelist?: readonly string[];
  readonly maxBodyBytes?: number;
  readonly draining?: AbortSignal;
  readonly pingIntervalMs?: number;
  readonly limits?: ClientLimits;
  readonly bodyTimeoutMs?: number;
  readonly headerTimeoutMs?: number;
  readonly writeTimeoutMs?: number;
  readonly tls?: ServerTls;
  /** Default: as the command line has it. */
  readonly hasFastLane?: boolean;
  readonly metrics?: Metrics;
}

export interface TestGateway extends GatewayServer {
  /** Errors that clients were told nothing of. A test that expects none compares with []. */
  readonly reported: readonly unknown[];
}

/** The gateway as app.ts builds it, over an upstream of the test's making. */
export async function startTestGateway(options: TestGatewayOptions): Promise<TestGateway> {
  const reported: unknown[] = [];
  const profile = async (): Promise<JsonProfile> => options.profile;
  const report = (error: unknown): void => void reported.push(error);
  const watches = new RelayedWatches(options.upstream);
  options.draining?.addEventListener("abort", () => watches.drain());
  const door: DoorOptions = {
    clock: systemClock,
    pageSizes: new PageSizes(targetPageBytes),
    rangeStreams: new RangeStreams(systemClock),
    requestMemo: new RequestMemo(),
    heartbeatMs: 15_000,
    upstream: options.upstream,
    openWatch: createOpenWatch(watches),
    profile,
    limits: options.limits ?? { admit: () => undefined, openStream: () => () => {} },
    jsonLimits: defaultJsonLimits,
    bodyTimeoutMs: options.bodyTimeoutMs ?? 60_000,
    writeTimeoutMs: options.writeTimeoutMs ?? 60_000,
    maxBodyBytes: options.maxBodyBytes ?? 1_000_000,
    forwardAllHeaders: false,
    draining: options.draining ?? new AbortController().signal,
    report,
  };
  const webSockets = createWebSocketDoor({
    ...door,
    pingIntervalMs: options.pingIntervalMs ?? 30_000,
  });
  const pages = await createPages({
    upstream: options.upstream,
    profile,
    version: async () => '{"etcdserver":"3.5.30","etcdcluster":"3.5.0"}',
    admin: new Map(),
    report,
    hasDocs: true,
  });
  const server = await startGatewayServer({
    address: { host: "127.0.0.1", port: 0 },
    tls: options.tls,
    front: {
      cors: createCorsPolicy(options.cors ?? ["*"]),
      hostWhitelist: createHostWhitelist(options.hostWhitelist ?? ["*"]),
      onHostRejected: () => silentLogger.debug("rejected"),
    },
    door,
    webSockets,
    pages,
    metrics: createDoorMetrics(options.metrics ?? createMetrics("test")),
    connections: {
      maxConnections: 0,
      headerTimeoutMs: options.headerTimeoutMs ?? 60_000,
      writeTimeoutMs: options.writeTimeoutMs ?? 60_000,
      hasFastLane: options.hasFastLane ?? true,
    },
  });
  return { ...server, reported };
}
