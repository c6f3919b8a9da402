import { discoveryUrlOption, dnsServersOption } from "@etcd-edge/endpoints";
import { discoveryOptions, fabricOptions, presenceOptions } from "@etcd-edge/fabric";
import {
  boolOption,
  type Command,
  commonOptions,
  durationOption,
  type OptionSpec,
  type OptionTable,
  type OptionValues,
  stringOption,
  stringsOption,
  uintOption,
} from "@etcd-edge/runtime";

/** How an endpoint's health is looked at; see the README for what each finds out. */
const healthChecks = ["auto", "tcp", "grpc", "http", "none"] as const;
export type HealthCheck = (typeof healthChecks)[number];

function positive(flag: string) {
  return (value: number): string | undefined =>
    value > 0 ? undefined : `invalid argument for "--${flag}" flag: must be greater than 0`;
}

function notNegative(flag: string) {
  return (value: number): string | undefined =>
    value >= 0 ? undefined : `invalid argument for "--${flag}" flag: must not be negative`;
}

type GatewayOptions = {
  readonly listenAddr: OptionSpec<"string">;
  readonly endpoints: OptionSpec<"strings">;
  readonly discoverySrv: OptionSpec<"string">;
  readonly discoverySrvName: OptionSpec<"string">;
  readonly insecureDiscovery: OptionSpec<"bool">;
  readonly trustedCaFile: OptionSpec<"string">;
  readonly retryDelay: OptionSpec<"duration">;
  readonly dialTimeout: OptionSpec<"duration">;
  readonly healthCheck: OptionSpec<"string">;
  readonly healthCheckInterval: OptionSpec<"duration">;
  readonly healthCheckTimeout: OptionSpec<"duration">;
  readonly healthCheckCertFile: OptionSpec<"string">;
  readonly healthCheckKeyFile: OptionSpec<"string">;
  readonly maxConnections: OptionSpec<"uint">;
  readonly maxConnectionsPerAddress: OptionSpec<"uint">;
  readonly idleTimeout: OptionSpec<"duration">;
  readonly removedEndpointGracePeriod: OptionSpec<"duration">;
  readonly acceptProxyProtocol: OptionSpec<"bool">;
  readonly sendProxyProtocol: OptionSpec<"string">;
  readonly reusePort: OptionSpec<"bool">;
} & typeof discoveryUrlOption &
  typeof dnsServersOption &
  typeof fabricOptions &
  typeof presenceOptions &
  typeof discoveryOptions &
  typeof commonOptions;

const options: GatewayOptions = {
  listenAddr: stringOption({
    flag: "listen-addr",
    default: "127.0.0.1:23790",
    doc: "listen address",
    since: "3.0",
  }),
  endpoints: stringsOption({
    flag: "endpoints",
    default: ["127.0.0.1:2379"],
    doc: "comma separated etcd cluster endpoints",
    since: "3.0",
  }),
  discoverySrv: stringOption({
    flag: "discovery-srv",
    default: "",
    doc: "DNS domain used to bootstrap initial cluster",
    since: "3.0",
  }),
  discoverySrvName: stringOption({
    flag: "discovery-srv-name",
    default: "",
    doc: "service name to query when using DNS discovery",
    since: "3.4",
  }),
  insecureDiscovery: boolOption({
    flag: "insecure-discovery",
    default: false,
    doc: "accept insecure SRV records",
    since: "3.0",
  }),
  trustedCaFile: stringOption({
    flag: "trusted-ca-file",
    default: "",
    doc: "path to the client server TLS CA file for verifying the discovered endpoints when discovery-srv is provided.",
    since: "3.0",
  }),
  retryDelay: durationOption({
    flag: "retry-delay",
    default: 60_000,
    doc: "duration of delay before retrying failed endpoints",
    since: "3.0",
    check: notNegative("retry-delay"),
  }),
  dialTimeout: durationOption({
    flag: "dial-timeout",
    default: 2_000,
    doc: "longest wait for a connection to one endpoint before the next one is tried",
    since: "edge",
    check: positive("dial-timeout"),
  }),
  ...discoveryUrlOption,
  ...dnsServersOption,
  ...presenceOptions,
  ...discoveryOptions,
  ...fabricOptions,
  healthCheck: stringOption({
    flag: "health-check",
    default: "auto",
    doc: "how endpoints are checked: auto (a sign of life), tcp, grpc (leader known, reads), http (/health) or none",
    since: "edge",
    check: (value) =>
      healthChecks.some((known) => known === value)
        ? undefined
        : `invalid argument ${JSON.stringify(value)} for "--health-check" flag: must be one of ${healthChecks.join(", ")}`,
  }),
  healthCheckInterval: durationOption({
    flag: "health-check-interval",
    default: 500,
    doc: "pause between two checks of an endpoint in use",
    since: "edge",
    check: positive("health-check-interval"),
  }),
  healthCheckTimeout: durationOption({
    flag: "health-check-timeout",
    default: 500,
    doc: "longest wait for the answer to a check",
    since: "edge",
    check: positive("health-check-timeout"),
  }),
  healthCheckCertFile: stringOption({
    flag: "health-check-cert-file",
    default: "",
    doc: "path to the client certificate that checks present to endpoints which ask for one",
    since: "edge",
  }),
  healthCheckKeyFile: stringOption({
    flag: "health-check-key-file",
    default: "",
    doc: "path to the key of the certificate of health-check-cert-file",
    since: "edge",
  }),
  maxConnections: uintOption({
    flag: "max-connections",
    default: 0,
    doc: "most client connections at a time, further ones are closed at once; 0 means no limit",
    since: "edge",
  }),
  maxConnectionsPerAddress: uintOption({
    flag: "max-connections-per-address",
    default: 0,
    doc: "most connections of one client address at a time, further ones are closed at once; 0 means no limit",
    since: "edge",
  }),
  idleTimeout: durationOption({
    flag: "idle-timeout",
    default: 0,
    doc: "close connections without a byte in either direction for so long; 0 means never",
    since: "edge",
    check: notNegative("idle-timeout"),
  }),
  removedEndpointGracePeriod: durationOption({
    flag: "removed-endpoint-grace-period",
    default: 0,
    doc: "close the connections to an endpoint that left the set for good, spread over this time; 0 leaves them alone",
    since: "edge",
    check: notNegative("removed-endpoint-grace-period"),
  }),
  acceptProxyProtocol: boolOption({
    flag: "accept-proxy-protocol",
    default: false,
    doc: "client connections begin with a PROXY protocol header of version 1 or 2; others are closed",
    since: "edge",
  }),
  sendProxyProtocol: stringOption({
    flag: "send-proxy-protocol",
    default: "",
    doc: "begin connections to endpoints with a PROXY protocol header: v1 or v2",
    since: "edge",
    check: (value) =>
      ["", "v1", "v2"].includes(value)
        ? undefined
        : `invalid argument ${JSON.stringify(value)} for "--send-proxy-protocol" flag: must be v1 or v2`,
  }),
  reusePort: boolOption({
    flag: "reuse-port",
    default: false,
    doc: "let several gateways listen on the address (SO_REUSEPORT), for restarts without a gap",
    since: "edge",
  }),
  ...commonOptions,
};

/** The command line of the gateway: that of `etcd gateway start`, and what is ours (`since: "edge"`). */
export const command: Command<GatewayOptions> = {
  name: "gateway",
  summary: "gateway related command",
  startSummary: "start the gateway",
  options: options satisfies OptionTable,
};

export type GatewayConfig = OptionValues<GatewayOptions>;

/**
 * True if `--endpoints` was said by somebody. Only then is it a fallback for a `--discovery-srv` that found nothing;
 * etcd falls back to the default, whatever runs there.
 */
export function hasExplicitEndpoints(config: GatewayConfig): boolean {
  return config.endpoints !== options.endpoints.default; // parsing hands out the default itself, never a copy
}
