import {
  autoSyncOption,
  discoveryUrlOption,
  dnsServersOption,
  outlierOptions,
  srvOptions,
} from "@etcd-edge/endpoints";
import { discoveryOptions, presenceOptions } from "@etcd-edge/fabric";
import { identityOptions } from "@etcd-edge/identity";
import {
  boolOption,
  commonOptions,
  durationOption,
  intOption,
  type OptionSpec,
  type OptionTable,
  type OptionValues,
  stringOption,
  stringsOption,
  upstreamTlsOptions,
} from "@etcd-edge/runtime";
import { feedSharingOptions, watchOptions } from "@etcd-edge/watching";
import { limitOptions, positive } from "./limits/limit-options.ts";
import { limitStoreOptions } from "./limits/limit-store.ts";

const profiles: readonly string[] = ["auto", "v1", "v2"];

/** The flags of `http-gateway start`. Where etcd has the same flag on its server, name and default are etcd's. */
export const options: {
  readonly listenAddr: OptionSpec<"string">;
  readonly endpoints: OptionSpec<"strings">;
  readonly jsonProfile: OptionSpec<"string">;
  readonly cors: OptionSpec<"strings">;
  readonly hostWhitelist: OptionSpec<"strings">;
  readonly maxRequestBytes: OptionSpec<"int">;
  readonly shareReads: OptionSpec<"bool">;
  readonly docs: OptionSpec<"bool">;
  readonly forwardHeaders: OptionSpec<"bool">;
  readonly eventsHeartbeatInterval: OptionSpec<"duration">;
  readonly websocketPingInterval: OptionSpec<"duration">;
  readonly certFile: OptionSpec<"string">;
  readonly keyFile: OptionSpec<"string">;
  readonly trustedCaFile: OptionSpec<"string">;
  readonly clientCrlFile: OptionSpec<"string">;
} & typeof commonOptions &
  typeof autoSyncOption &
  typeof srvOptions &
  typeof dnsServersOption &
  typeof discoveryUrlOption &
  typeof discoveryOptions &
  typeof outlierOptions &
  typeof limitOptions &
  typeof limitStoreOptions &
  typeof watchOptions &
  typeof feedSharingOptions &
  typeof identityOptions &
  typeof presenceOptions &
  typeof upstreamTlsOptions = {
  ...commonOptions,
  endpoints: stringsOption({
    flag: "endpoints",
    default: ["127.0.0.1:2379"],
    doc: "comma separated etcd cluster endpoints; etcd itself, or a grpc-proxy or tcp-gateway in front of it",
    since: "edge",
  }),
  ...autoSyncOption,
  ...srvOptions,
  ...dnsServersOption,
  ...discoveryUrlOption,
  ...discoveryOptions,
  ...outlierOptions,
  ...limitOptions,
  ...limitStoreOptions,
  listenAddr: stringOption({
    flag: "listen-addr",
    default: "127.0.0.1:23780",
    doc: "listen address",
    since: "edge",
  }),
  jsonProfile: stringOption({
    flag: "json-profile",
    default: "auto",
    doc: "JSON as etcd 3.4 and 3.5 speak it (v1), as 3.6 and later do (v2), or as the upstream does (auto)",
    since: "edge",
    check: (value) =>
      profiles.includes(value)
        ? undefined
        : `invalid argument ${JSON.stringify(value)} for "--json-profile" flag: must be one of ${profiles.join(", ")}`,
  }),
  cors: stringsOption({
    flag: "cors",
    default: ["*"],
    doc: "comma separated origins whose pages may call, or * for all",
    since: "3.4",
  }),
  hostWhitelist: stringsOption({
    flag: "host-whitelist",
    default: ["*"],
    doc: "comma separated hostnames that requests without TLS may name in their Host header, or * for all",
    since: "3.4",
  }),
  maxRequestBytes: intOption({
    flag: "max-request-bytes",
    default: 1_572_864,
    doc: "largest request that etcd takes, as on its own command line; longer JSON is refused before it is parsed",
    since: "3.4",
    check: positive("max-request-bytes"),
  }),
  shareReads: boolOption({
    flag: "share-reads",
    default: true,
    doc: "let linearizable reads that wait at the same time share requests to etcd",
    since: "edge",
  }),
  docs: boolOption({
    flag: "docs",
    default: true,
    doc: "serve an OpenAPI document at /openapi.json and a page to try it at /docs",
    since: "edge",
  }),
  forwardHeaders: boolOption({
    flag: "forward-headers",
    default: false,
    doc: "send grpcgateway-* and x-forwarded-* metadata upstream, as etcd's own JSON door does; etcd reads none of it",
    since: "edge",
  }),
  eventsHeartbeatInterval: durationOption({
    flag: "events-heartbeat-interval",
    default: 15_000,
    doc: "time between signs of life on a Server-Sent Events stream, with the revision that it has reached",
    since: "edge",
    check: positive("events-heartbeat-interval"),
  }),
  websocketPingInterval: durationOption({
    flag: "websocket-ping-interval",
    default: 30_000,
    doc: "time between pings on a WebSocket; a client that answers none until the next is cut",
    since: "edge",
    check: positive("websocket-ping-interval"),
  }),
  ...watchOptions,
  ...feedSharingOptions,
  ...identityOptions,
  ...presenceOptions,
  ...upstreamTlsOptions,
  certFile: stringOption({
    flag: "cert-file",
    default: "",
    doc: "identify secure connections to the gateway using this TLS certificate file",
    since: "3.4",
  }),
  keyFile: stringOption({
    flag: "key-file",
    default: "",
    doc: "identify secure connections to the gateway using this TLS key file",
    since: "3.4",
  }),
  trustedCaFile: stringOption({
    flag: "trusted-ca-file",
    default: "",
    doc: "require client certificates that this CA bundle verifies",
    since: "3.4",
  }),
  clientCrlFile: stringOption({
    flag: "client-crl-file",
    default: "",
    doc: "client certificate revocation list file",
    since: "3.4",
  }),
} satisfies OptionTable;

export type Config = OptionValues<typeof options>;
