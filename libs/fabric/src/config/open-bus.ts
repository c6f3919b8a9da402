import { hostname } from "node:os";
import { ConfigError, type Logger, type Metrics } from "@etcd-edge/runtime";
import { createInProcessBus } from "../bus/in-process-bus.ts";
import type { MessageBus } from "../bus/message-bus.ts";
import { createNatsBus } from "../bus/nats-bus.ts";
import { parseNatsServers } from "../bus/nats-servers.ts";
import { sealBus } from "../bus/seal-bus.ts";
import { readFabricKey } from "./fabric-key.ts";
import type { FabricConfig } from "./fabric-options.ts";

/** A bus, and what is known of how it is protected. */
export type OpenedBus = {
  readonly bus: MessageBus;
  /** The secret that all replicas share, if there is one. */
  readonly key: Uint8Array | undefined;
  /** Whether only those who were given something can speak on it: credentials of NATS, a certificate, or that secret. */
  readonly isProtected: boolean;
};

/**
 * The bus that a tier's flags name: NATS if there are servers, else within the process. Without a reachable server
 * everything else goes on; that state is logged once per change and shown as a metric.
 *
 * @param alone what becomes of the process without NATS, for the log: `watching at etcd directly`
 * @throws ConfigError for servers that do not parse and files that cannot be read
 */
export function openBus(
  config: FabricConfig,
  options: {
    readonly logger: Logger;
    readonly metrics: Metrics;
    /** Shown in the NATS server's list of connections. */
    readonly name: string;
    readonly alone: string;
  },
): OpenedBus {
  const { logger, metrics, name, alone } = options;
  const key = readFabricKey(config);
  const bare = config.natsUrl.length === 0 ? createInProcessBus() : openNats(config, name);
  const bus = key === undefined ? bare : sealBus(bare, key);
  bus.onState((state) => {
    if (state.t === "connected") logger.info("connected to NATS", { server: state.server });
    if (state.t === "connecting") logger.warn(`not connected to NATS, ${alone}`, { error: state.error });
  });
  exposeBus(metrics, bus);
  return { bus, key, isProtected: key !== undefined || hasCredentials(config) };
}

/**
 * The bus of `--nats-url`, under the name of the tier and the host.
 * @returns nothing where no server is named: for tiers that are complete without one
 * @throws ConfigError as {@link openBus} does
 */
export function openNamedBus(
  config: FabricConfig,
  {
    tier,
    ...options
  }: { readonly tier: string; readonly logger: Logger; readonly metrics: Metrics; readonly alone: string },
): OpenedBus | undefined {
  if (config.natsUrl.length === 0) return undefined;
  return openBus(config, { ...options, name: `${tier} ${hostname()}` });
}

function exposeBus(metrics: Metrics, bus: MessageBus): void {
  metrics.gauge({
    name: "etcd_edge_fabric_connected",
    help: "1 while NATS is connected or none is configured, 0 while other replicas cannot be reached.",
    collect: (gauge) => gauge.set(bus.state().t === "connecting" ? 0 : 1),
  });
  for (const [what, help] of [
    ["published", "Messages sent to other replicas."],
    ["received", "Messages received from replicas, our own included."],
    ["dropped", "Messages not sent for want of a connection."],
    ["rejected", "Messages ignored because their seal was wrong."],
  ] as const) {
    metrics.observedCounter({
      name: `etcd_edge_fabric_${what}_messages_total`,
      help,
      read: () => bus.counters[what],
    });
  }
}

function hasCredentials({ natsUrl, natsCredsFile, natsCert }: FabricConfig): boolean {
  if (natsCredsFile !== "" || natsCert !== "") return true;
  if (natsUrl.length === 0) return true; // nobody else is there
  const { user, token } = parseNatsServers(natsUrl);
  return user !== undefined || token !== undefined;
}

function openNats(config: FabricConfig, name: string): MessageBus {
  const { natsCacert, natsCert, natsKey, natsCredsFile } = config;
  const hasTls = natsCacert !== "" || natsCert !== "";
  try {
    return createNatsBus({
      servers: config.natsUrl,
      name,
      ...(natsCredsFile === "" ? {} : { credentialsFile: natsCredsFile }),
      ...(hasTls
        ? {
            tls: {
              ...(natsCacert === "" ? {} : { caFile: natsCacert }),
              ...(natsCert === "" ? {} : { certFile: natsCert, keyFile: natsKey }),
            },
          }
        : {}),
    });
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
