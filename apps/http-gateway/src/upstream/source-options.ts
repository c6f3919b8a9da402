import { boolOption, type OptionSpec, stringOption, stringsOption } from "@etcd-edge/runtime";

/** Rows about where the upstream's endpoints are to be found. */
export const sourceOptions: {
  readonly endpoints: OptionSpec<"strings">;
  readonly discoverySrv: OptionSpec<"string">;
  readonly discoverySrvName: OptionSpec<"string">;
  readonly insecureDiscovery: OptionSpec<"bool">;
  readonly discoveryUrl: OptionSpec<"strings">;
  readonly dnsServers: OptionSpec<"strings">;
} = {
  endpoints: stringsOption({
    flag: "endpoints",
    default: ["127.0.0.1:2379"],
    doc: "comma separated etcd cluster endpoints; etcd itself, or a grpc-proxy or tcp-gateway in front of it",
    since: "edge",
  }),
  discoverySrv: stringOption({
    flag: "discovery-srv",
    default: "",
    doc: "domain name to query for SRV records describing cluster endpoints",
    since: "3.4",
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
    since: "3.4",
  }),
  discoveryUrl: stringsOption({
    flag: "discovery-url",
    default: [],
    doc: "comma separated URLs of etcd-edge discovery to follow the endpoints of, instead of SRV records",
    since: "edge",
    check: (value) => {
      const wrong = value.find((url) => !/^https?:\/\/[^/]/.test(url) || !URL.canParse(url));
      return wrong === undefined
        ? undefined
        : `invalid argument ${JSON.stringify(wrong)} for "--discovery-url" flag: must be an http or https URL`;
    },
  }),
  dnsServers: stringsOption({
    flag: "dns-servers",
    default: [],
    doc: "resolvers to ask for SRV records, as host:port (default: the system's)",
    since: "edge",
  }),
};
