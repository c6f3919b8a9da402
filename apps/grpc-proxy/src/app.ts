import { createServer as createHttpServer } from "node:http";
import { hostname } from "node:os";
import { ChannelBalancer, createStaticSource, endpointAddress, parseEndpoints, toChannelTarget } from "@etcd-edge/endpoints";
import {
  type AppContext,
  ConfigError,
  createAdminRoutes,
  createMetrics,
  createReadiness,
  createRequestListener,
  loadClientTls,
  loadServerTls,
  parseAdminAddress,
  parseListenAddress,
  parseTlsVersions,
  type Service,
  startAdminServer,
  systemClock,
} from "@etcd-edge/runtime";
import { CallError, Channel, createCounters, NO_METADATA, Server } from "@etcd-edge/transport";
import { createEtcdMetricsHandler } from "./http/etcd-metrics.ts";
import { type AskUpstream, createHealthHandler } from "./http/health.ts";
import { exposeCallCounters, exposeTransportCounters } from "./metrics.ts";
import type { Config } from "./options.ts";
import { refuseUnservedOptions } from "./refused-options.ts";
import { createCallCounters } from "./relay/call-counters.ts";
import { createRelay } from "./relay/relay.ts";
