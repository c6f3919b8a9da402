import type { ClusterConfig } from "./options.ts";

type TierName = "tcp-gateway" | "grpc-proxy" | "http-gateway" | "discovery";

/** One process of a tier: what to start, and where people find it. */
export interface TierProcess {
  readonly tier: TierName;
  readonly replica: number;
  readonly args: readonly string[];
  /** Every port it will listen on, all on 127.0.0.1. */
  readonly ports: readonly number[];
  /** `host:port` for clients. */
  readonly address: string;
  /** Base URL of /readyz and /metrics. */
  readonly adminUrl: string;
}

/** Ports of the etcd members: client ports first, then peer ports, as the cluster of testkit lays them out. */
export function planEtcdPorts(basePort: number): number[] {
  const clients = [0, 10, 20].map((step) => basePort + step);
  return [...clients, ...clients.map((client) => client + 1)];
}

const replicaStep = 100;
/** Admin listeners stand this far above the base port of their tier. */
const adminOffset = 50;

/**
 * Lays out every tier process in front of the given etcd endpoints, in the order they are started.
 *
 * @param natsUrl over which replicas talk to each other; nothing where there is no NATS server
 */
export function planTiers(
  config: ClusterConfig,
  endpoints: readonly string[],
  natsUrl?: string,
): TierProcess[] {
  const upstream = `--endpoints=${endpoints.join(",")}`;
  const fabric = (tier: TierName): readonly string[] =>
    natsUrl === undefined || tier === "tcp-gateway" ? [] : [`--nats-url=${natsUrl}`];
  const rows: { tier: TierName; count: number; port: number; more: (shift: number) => ExtraListener }[] = [
    { tier: "tcp-gateway", count: config.tcpGateway, port: config.tcpGatewayPort, more: () => none },
    {
      tier: "grpc-proxy",
      count: config.grpcProxy,
      port: config.grpcProxyPort,
      more: (shift) => advertise(config.grpcProxyPort + shift),
    },
    { tier: "http-gateway", count: config.httpGateway, port: config.httpGatewayPort, more: () => none },
    {
      tier: "discovery",
      count: config.discovery,
      port: config.discoveryPort,
      more: (shift) => dns(config.dnsPort + shift),
    },
  ];
  return rows.flatMap(({ tier, count, port, more }) =>
    Array.from({ length: count }, (_, replica): TierProcess => {
      const shift = replica * replicaStep;
      const extra = more(shift);
      const address = `127.0.0.1:${port + shift}`;
      const adminPort = port + shift + adminOffset;
      const adminUrl = `http://127.0.0.1:${adminPort}`;
      return {
        tier,
        replica,
        args: [
          "start",
          upstream,
          `--listen-addr=${address}`,
          `--metrics-addr=${adminUrl}`,
          ...fabric(tier),
          ...extra.args,
        ],
        ports: [port + shift, adminPort, ...extra.ports],
        address,
        adminUrl,
      };
    }),
  );
}

interface ExtraListener {
  readonly args: readonly string[];
  readonly ports: readonly number[];
}

const none: ExtraListener = { args: [], ports: [] };

function advertise(port: number): ExtraListener {
  return { args: [`--advertise-client-url=127.0.0.1:${port}`], ports: [] };
}

function dns(port: number): ExtraListener {
  return { args: [`--dns-addr=127.0.0.1:${port}`, "--domain=etcd.local"], ports: [port] };
}

/** @returns the ports that two processes of the plan would both take */
export function findClashes(ports: readonly number[]): number[] {
  return ports.filter((port, i) => ports.indexOf(port) !== i);
}
