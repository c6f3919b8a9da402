import { boolOption, intOption, type OptionValues, stringOption } from "@etcd-edge/runtime";

const replicas = (flag: string, tier: string): ReturnType<typeof intOption> =>
  intOption({
    flag,
    default: 1,
    doc: `how many replicas of ${tier} to start; replica i listens at the base port + 100·i`,
    since: "edge",
    check: (value) =>
      value >= 0 && value <= 9 ? undefined : `--${flag} must be between 0 and 9, not ${value}`,
  });

const port = (flag: string, base: number, what: string): ReturnType<typeof intOption> =>
  intOption({
    flag,
    default: base,
    doc: what,
    since: "edge",
    check: (value) =>
      value > 0 && value <= 64_000 ? undefined : `--${flag} must be between 1 and 64000, not ${value}`,
  });

/** The flags of `npm start --`. */
export const clusterOptions = {
  dataDir: stringOption({
    flag: "data-dir",
    default: "",
    doc: "where the etcd members keep their data (default: a temporary folder)",
    since: "edge",
  }),
  keep: boolOption({
    flag: "keep",
    default: false,
    doc: "keep the data folder when everything has stopped",
    since: "edge",
  }),
  etcdPort: port(
    "etcd-port",
    22_379,
    "client port of the first etcd member; the next ones are 10 apart, peers 1 above",
  ),
  tcpGateway: replicas("tcp-gateway", "tcp-gateway"),
  grpcProxy: replicas("grpc-proxy", "grpc-proxy"),
  httpGateway: replicas("http-gateway", "http-gateway"),
  discovery: replicas("discovery", "discovery"),
  tcpGatewayPort: port("tcp-gateway-port", 23_791, "base port of tcp-gateway"),
  grpcProxyPort: port("grpc-proxy-port", 23_790, "base port of grpc-proxy"),
  httpGatewayPort: port("http-gateway-port", 23_780, "base port of http-gateway"),
  discoveryPort: port("discovery-port", 23_770, "base port of discovery's HTTP"),
  natsPort: port(
    "nats-port",
    24_222,
    "port of the NATS server over which replicas share what they watch; without nats-server on this machine there is none",
  ),
  dnsPort: port("dns-port", 23_753, "base port of discovery's DNS"),
};

export type ClusterConfig = OptionValues<typeof clusterOptions>;
