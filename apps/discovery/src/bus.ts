import { createInProcessBus, createNatsBus, type MessageBus, sealBus } from "@etcd-edge/fabric";
import { ConfigError, type Logger, type Metrics, readPem } from "@etcd-edge/runtime";
import type { DiscoveryConfig } from "./command.ts";

/**
 * The bus that endpoint sets are announced on: NATS if there are servers, else within the process. Without a reachable
 * server everything else goes on; that state is logged once per change and shown as a metric.
 * @throws ConfigError for servers that do not parse and files that cannot be read
 */
export async function createBus(
  config: DiscoveryConfig,
  { logger, metrics, name }: { logger: Logger; metrics: Metrics; name: string },
): Promise<MessageBus> {
  const key = config.fabricKeyFile === "" ? undefined : readPem(config.fabricKeyFile);
  if (key?.length === 0) throw new ConfigError(`${config.fabricKeyFile} is empty`);
  const bare = config.natsUrl.length === 0 ? createInProcessBus() : openNats(config, name);
  const bus = key === undefined ? bare : sealBus(bare, key);
  bus.onState((state) => {
    if (state.t === "connected") logger.info("connected to NATS", { server: state.server });
    if (state.t === "connecting")
      logger.warn("not connected to NATS, announcing to nobody", { error: state.error });
  });
  metrics.gauge({
    name: "etcd_edge_fabric_connected",
    help: "1 while NATS is connected or none is configured, 0 while announcements reach nobody.",
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
  return bus;
}

function openNats(config: DiscoveryConfig, name: string): MessageBus {
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
