import {
  autoSyncOption,
  discoveryUrlOption,
  dnsServersOption,
  outlierOptions,
  srvOptions,
} from "@etcd-edge/endpoints";
import { discoveryOptions } from "@etcd-edge/fabric";
import { identityOptions } from "@etcd-edge/identity";
import {
  boolOption,
  commonOptions,
  durationOption,
  intOption,
  type OptionValues,
  stringOption,
  stringsOption,
  uint32Option,
  uintOption,
  upstreamTlsOptions,
} from "@etcd-edge/runtime";
import { feedSharingOptions, watchOptions } from "@etcd-edge/watching";
import { cacheOptions } from "./reads/cache-options.ts";

/**
 * The flags of `etcd grpc-proxy start`, 3.4 to 3.7 together, with etcd's texts and defaults, and ours behind them.
 * What of etcd's is refused for now stands in `refused-options.ts`.
 */
export const options = {
  ...commonOptions,
  listenAddr: stringOption({
    flag: "listen-addr",
    default: "127.0.0.1:23790",
    doc: "listen address",
    since: "3.4",
  }),
  endpoints: stringsOption({
    flag: "endpoints",
    default: ["127.0.0.1:2379"],
    doc: "comma separated etcd cluster endpoints",
    since: "3.4",
  }),
  ...autoSyncOption,
  ...srvOptions,
  ...dnsServersOption,
  ...discoveryUrlOption,
  ...discoveryOptions,
  ...outlierOptions,
  dialKeepaliveTime: durationOption({
    flag: "dial-keepalive-time",
    default: 0,
    doc: "keepalive time for client(grpc-proxy) connections (default 0, disable).",
    since: "3.5",
  }),
  dialKeepaliveTimeout: durationOption({
    flag: "dial-keepalive-timeout",
    default: 20_000,
    doc: "keepalive timeout for client(grpc-proxy) connections (default 20s).",
    since: "3.5",
  }),
  permitWithoutStream: boolOption({
    flag: "permit-without-stream",
    default: false,
    doc: "Enable client(grpc-proxy) to send keepalive pings even with no active RPCs.",
    since: "3.5",
  }),
  advertiseClientUrl: stringOption({
    flag: "advertise-client-url",
    default: "127.0.0.1:23790",
    doc: "advertise address to register (must be reachable by client)",
    since: "3.4",
  }),
  maxSendBytes: intOption({
    flag: "max-send-bytes",
    default: 1_572_864,
    doc: "message send limits in bytes (default value is 1.5 MiB)",
    since: "3.4",
  }),
  maxRecvBytes: intOption({
    flag: "max-recv-bytes",
    default: 2_147_483_647,
    doc: "message receive limits in bytes (default value is math.MaxInt32)",
    since: "3.4",
  }),
  maxConcurrentStreams: uint32Option({
    flag: "max-concurrent-streams",
    default: 4_294_967_295,
    doc: "Maximum concurrent streams that each client can open at a time.",
    since: "3.4",
  }),
  grpcKeepaliveMinTime: durationOption({
    flag: "grpc-keepalive-min-time",
    default: 5_000,
    doc: "Minimum interval duration that a client should wait before pinging proxy.",
    since: "3.5",
  }),
  grpcKeepaliveInterval: durationOption({
    flag: "grpc-keepalive-interval",
    default: 7_200_000,
    doc: "Frequency duration of server-to-client ping to check if a connection is alive (0 to disable).",
    since: "3.5",
  }),
  grpcKeepaliveTimeout: durationOption({
    flag: "grpc-keepalive-timeout",
    default: 20_000,
    doc: "Additional duration of wait before closing a non-responsive connection (0 to disable).",
    since: "3.5",
  }),
  ...upstreamTlsOptions,
  certFile: stringOption({
    flag: "cert-file",
    default: "",
    doc: "identify secure connections to the proxy using this TLS certificate file",
    since: "3.4",
  }),
  keyFile: stringOption({
    flag: "key-file",
    default: "",
    doc: "identify secure connections to the proxy using this TLS key file",
    since: "3.4",
  }),
  trustedCaFile: stringOption({
    flag: "trusted-ca-file",
    default: "",
    doc: "verify certificates of TLS-enabled secure proxy using this CA bundle",
    since: "3.4",
  }),
  listenCipherSuites: stringsOption({
    flag: "listen-cipher-suites",
    default: [],
    doc: "Comma-separated list of supported TLS cipher suites between client/proxy (empty will be auto-populated by Go).",
    since: "3.4",
  }),
  tlsMinVersion: stringOption({
    flag: "tls-min-version",
    default: "TLS1.2",
    doc: "Minimum TLS version supported by grpc proxy. Possible values: TLS1.2, TLS1.3.",
    since: "3.5",
  }),
  tlsMaxVersion: stringOption({
    flag: "tls-max-version",
    default: "",
    doc: "Maximum TLS version supported by grpc proxy. Possible values: TLS1.2, TLS1.3 (empty defers to Go).",
    since: "3.5",
  }),
  debug: boolOption({
    flag: "debug",
    default: false,
    doc: "Enable debug-level logging for grpc-proxy.",
    since: "3.4",
  }),
  resolverPrefix: stringOption({
    flag: "resolver-prefix",
    default: "",
    doc: "prefix to use for registering proxy (must be shared with other grpc-proxy members)",
    since: "3.4",
  }),
  resolverTtl: intOption({
    flag: "resolver-ttl",
    default: 0,
    doc: "specify TTL, in seconds, when registering proxy endpoints",
    since: "3.4",
  }),
  namespace: stringOption({
    flag: "namespace",
    default: "",
    doc: "string to prefix to all keys for namespacing requests",
    since: "3.4",
    // Node reads arguments as UTF-8 and puts this in place of other bytes: keys would get a prefix that nobody asked for.
    check: (value) =>
      value.includes("\ufffd")
        ? `invalid argument ${JSON.stringify(value)} for "--namespace" flag: must be UTF-8`
        : undefined,
  }),
  enablePprof: boolOption({
    flag: "enable-pprof",
    default: false,
    doc: 'Enable runtime profiling data via HTTP server. Address is at client URL + "/debug/pprof/"',
    since: "3.4",
  }),
  dataDir: stringOption({
    flag: "data-dir",
    default: "default.proxy",
    doc: "Data directory for persistent data",
    since: "3.4",
  }),
  clientCrlFile: stringOption({
    flag: "client-crl-file",
    default: "",
    doc: "proxy client certificate revocation list file.",
    since: "3.4",
  }),
  autoTls: boolOption({
    flag: "auto-tls",
    default: false,
    doc: "proxy TLS using generated certificates",
    since: "3.4",
  }),
  selfSignedCertValidity: uintOption({
    flag: "self-signed-cert-validity",
    default: 1,
    doc: "The validity period of the proxy certificates, unit is year",
    since: "3.5",
  }),
  experimentalSerializableOrdering: boolOption({
    flag: "experimental-serializable-ordering",
    default: false,
    doc: "Ensure serializable reads have monotonically increasing store revisions across endpoints.",
    since: "3.4",
  }),
  experimentalLeasingPrefix: stringOption({
    flag: "experimental-leasing-prefix",
    default: "",
    doc: "leasing metadata prefix for disconnected linearized reads.",
    since: "3.4",
  }),
  experimentalEnableGrpcLogging: boolOption({
    flag: "experimental-enable-grpc-logging",
    default: false,
    doc: "logging all grpc requests and responses",
    since: "3.6",
  }),
  ...identityOptions,
  authJwtKey: stringOption({
    flag: "auth-jwt-key",
    default: "",
    doc: "etcd's private key for JWT tokens (priv-key of its --auth-token=jwt,…): clients without a token are the user whom the Common Name of their certificate names",
    since: "edge",
  }),
  authJwtMethod: stringOption({
    flag: "auth-jwt-method",
    default: "RS256",
    doc: "sign-method of etcd's --auth-token=jwt,…",
    since: "edge",
  }),
  namespacePolicy: stringOption({
    flag: "namespace-policy",
    default: "compatible",
    doc: "what a namespace does to RPCs that etcd's proxy leaves alone: compatible lets them pass, strict scopes locks and elections and refuses what reaches beyond the namespace",
    since: "edge",
    check: (value) =>
      value === "compatible" || value === "strict"
        ? undefined
        : `invalid argument ${JSON.stringify(value)} for "--namespace-policy" flag: must be compatible or strict`,
  }),
  upstreamWait: durationOption({
    flag: "upstream-wait",
    default: 5_000,
    doc: "longest time a call waits while a connection to etcd is being made, over all endpoints, before it is answered UNAVAILABLE; never past its deadline",
    since: "edge",
    check: (value) => (value >= 0 ? undefined : "--upstream-wait must not be negative"),
  }),
  upstreamReadWait: durationOption({
    flag: "upstream-read-wait",
    default: 2_000,
    doc: "how long a read is held for the next attempt after every endpoint has failed; writes and streams are answered UNAVAILABLE at once",
    since: "edge",
    check: (value) => (value >= 0 ? undefined : "--upstream-read-wait must not be negative"),
  }),
  shareReads: boolOption({
    flag: "share-reads",
    default: true,
    doc: "answer equal linearizable reads from one read of etcd that begins after all of them, and send small ones that wait together; never across credentials",
    since: "edge",
  }),
  unsharedReadPrefixes: stringsOption({
    flag: "unshared-read-prefixes",
    default: [],
    doc: "reads whose key begins with one of these are sent one by one",
    since: "edge",
  }),
  ...cacheOptions,
  maxConcurrentReads: uintOption({
    flag: "max-concurrent-reads",
    default: 4_096,
    doc: "maximum number of unshared reads of one or few keys that etcd is given at once; more wait, clients taking turns (0 for no maximum)",
    since: "edge",
  }),
  maxConcurrentRanges: uintOption({
    flag: "max-concurrent-ranges",
    default: 256,
    doc: "maximum number of reads of many keys that etcd is given at once; more wait, clients taking turns (0 for no maximum)",
    since: "edge",
  }),
  maxConcurrentWrites: uintOption({
    flag: "max-concurrent-writes",
    default: 4_096,
    doc: "maximum number of writes that etcd is given at once; more wait, clients taking turns (0 for no maximum)",
    since: "edge",
  }),
  maxQueuedRequests: uintOption({
    flag: "max-queued-requests",
    default: 10_000,
    doc: "maximum number of reads, ranges and writes, each, that wait for their turn; the client with most of them gets RESOURCE_EXHAUSTED past it",
    since: "edge",
  }),
  maxQueueWait: durationOption({
    flag: "max-queue-wait",
    default: 5_000,
    doc: "longest time a request waits for its turn before it is answered RESOURCE_EXHAUSTED",
    since: "edge",
    check: (value) => (value > 0 ? undefined : "--max-queue-wait must be positive"),
  }),
  ...watchOptions,
  ...feedSharingOptions,
};

export type Config = OptionValues<typeof options>;
