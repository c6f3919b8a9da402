import { dnsServersOption, srvOptions } from "@etcd-edge/endpoints";
import { fabricOptions } from "@etcd-edge/fabric";
import { identityOptions } from "@etcd-edge/identity";
import {
  type Command,
  commonOptions,
  durationOption,
  intOption,
  type OptionSpec,
  type OptionTable,
  type OptionValues,
  stringOption,
  stringsOption,
  uintOption,
} from "@etcd-edge/runtime";

import { isTierName, tierNames } from "./tiers/tier-names.ts";

/** How an endpoint's health is looked at. */
const healthChecks = ["grpc", "http", "auto", "tcp"] as const;
export type HealthCheck = (typeof healthChecks)[number];

function positive(flag: string) {
  return (value: number): string | undefined =>
    value > 0 ? undefined : `invalid argument for "--${flag}" flag: must be greater than 0`;
}

function notNegative(flag: string) {
  return (value: number): string | undefined =>
    value >= 0 ? undefined : `invalid argument for "--${flag}" flag: must not be negative`;
}

const edge = { since: "edge" } as const;

type DiscoveryOptions = {
  readonly listenAddr: OptionSpec<"string">;
  readonly dnsAddr: OptionSpec<"string">;
  readonly domain: OptionSpec<"string">;
  readonly dnsTtl: OptionSpec<"duration">;
  readonly dnsRateLimit: OptionSpec<"uint">;
  readonly cluster: OptionSpec<"string">;
  readonly endpoints: OptionSpec<"strings">;
  readonly endpointsAutoSyncInterval: OptionSpec<"duration">;
  readonly cacert: OptionSpec<"string">;
  readonly cert: OptionSpec<"string">;
  readonly key: OptionSpec<"string">;
  readonly healthCheck: OptionSpec<"string">;
  readonly healthCheckInterval: OptionSpec<"duration">;
  readonly healthCheckTimeout: OptionSpec<"duration">;
  readonly resolverPrefix: OptionSpec<"string">;
  readonly resolverTtl: OptionSpec<"int">;
  readonly registerTiers: OptionSpec<"strings">;
} & typeof srvOptions &
  typeof dnsServersOption &
  typeof fabricOptions &
  typeof identityOptions &
  typeof commonOptions;

const options: DiscoveryOptions = {
  listenAddr: stringOption({
    flag: "listen-addr",
    default: "127.0.0.1:23770",
    doc: "listen address of the HTTP API",
    ...edge,
  }),
  dnsAddr: stringOption({
    flag: "dns-addr",
    default: "127.0.0.1:23753",
    doc: "listen address for DNS, UDP and TCP; empty answers no DNS",
    ...edge,
  }),
  domain: stringOption({
    flag: "domain",
    default: "etcd.local",
    doc: "DNS zone that is answered for",
    ...edge,
    check: (value) =>
      /^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i.test(value) &&
      value.length <= 200
        ? undefined
        : `invalid argument ${JSON.stringify(value)} for "--domain" flag: must be a domain name`,
  }),
  dnsTtl: durationOption({
    flag: "dns-ttl",
    default: 5_000,
    doc: "time to live of DNS answers, absences included, in whole seconds",
    ...edge,
    check: notNegative("dns-ttl"),
  }),
  dnsRateLimit: uintOption({
    flag: "dns-rate-limit",
    default: 500,
    doc: "most UDP answers a second to one network (IPv4 /24, IPv6 /56), loopback excepted; 0 means no limit",
    ...edge,
  }),
  cluster: stringOption({
    flag: "cluster",
    default: "etcd",
    doc: "name of the etcd cluster: suffix of SRV names and topic of announcements",
    ...edge,
    check: (value) =>
      /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/i.test(value)
        ? undefined
        : `invalid argument ${JSON.stringify(value)} for "--cluster" flag: must be letters, digits and inner hyphens, 32 at most`,
  }),
  endpoints: stringsOption({
    flag: "endpoints",
    default: ["127.0.0.1:2379"],
    doc: "comma separated etcd cluster endpoints",
    ...edge,
  }),
  ...srvOptions,
  ...dnsServersOption,
  endpointsAutoSyncInterval: durationOption({
    flag: "endpoints-auto-sync-interval",
    default: 30_000,
    doc: "how often the member list is asked for and takes the place of the given endpoints; 0 keeps these",
    ...edge,
    check: notNegative("endpoints-auto-sync-interval"),
  }),
  cacert: stringOption({
    flag: "cacert",
    default: "",
    doc: "verify certificates of TLS-enabled secure etcd servers using this CA bundle",
    ...edge,
  }),
  cert: stringOption({
    flag: "cert",
    default: "",
    doc: "identify secure connections with etcd servers using this TLS certificate file",
    ...edge,
  }),
  key: stringOption({
    flag: "key",
    default: "",
    doc: "identify secure connections with etcd servers using this TLS key file",
    ...edge,
  }),
  healthCheck: stringOption({
    flag: "health-check",
    default: "grpc",
    doc: "how endpoints are checked: grpc (leader known, reads), http (/health), auto (a sign of life) or tcp",
    ...edge,
    check: (value) =>
      healthChecks.some((known) => known === value)
        ? undefined
        : `invalid argument ${JSON.stringify(value)} for "--health-check" flag: must be one of ${healthChecks.join(", ")}`,
  }),
  healthCheckInterval: durationOption({
    flag: "health-check-interval",
    default: 1_000,
    doc: "pause between two checks of an endpoint",
    ...edge,
    check: positive("health-check-interval"),
  }),
  healthCheckTimeout: durationOption({
    flag: "health-check-timeout",
    default: 1_000,
    doc: "longest wait for the answer to a check",
    ...edge,
    check: positive("health-check-timeout"),
  }),
  ...fabricOptions,
  ...identityOptions,
  resolverPrefix: stringOption({
    flag: "resolver-prefix",
    default: "",
    doc: "prefix under which grpc-proxies are registered in etcd: they are told of, and replicas of --register-tiers are entered there",
    ...edge,
  }),
  resolverTtl: intOption({
    flag: "resolver-ttl",
    default: 10,
    doc: "TTL, in seconds, of what is entered under --resolver-prefix",
    ...edge,
    check: (value) => (value > 0 ? undefined : `invalid resolver-ttl ${value}`),
  }),
  registerTiers: stringsOption({
    flag: "register-tiers",
    default: ["tcp-gateway"],
    doc: "comma separated tiers whose replicas are entered under --resolver-prefix, where they do not do it themselves: those that speak gRPC",
    ...edge,
    check: (value) => {
      const wrong = value.find((name) => !isTierName(name));
      return wrong === undefined
        ? undefined
        : `invalid argument ${JSON.stringify(wrong)} for "--register-tiers" flag: must be one of ${tierNames.join(", ")}`;
    },
  }),
  ...commonOptions,
};

/** The command line of discovery. */
export const command: Command<DiscoveryOptions> = {
  name: "discovery",
  summary: "discovery related command",
  startSummary: "start discovery",
  options: options satisfies OptionTable,
};

export type DiscoveryConfig = OptionValues<DiscoveryOptions>;

/** True if `--endpoints` was said by somebody rather than being the default. */
export function hasExplicitEndpoints(config: DiscoveryConfig): boolean {
  return config.endpoints !== options.endpoints.default; // parsing hands out the default itself, never a copy
}
