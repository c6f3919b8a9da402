import { boolOption, durationOption, type OptionSpec, stringOption, stringsOption } from "@etcd-edge/runtime";

/** Rows about SRV records that lead to etcd: etcd's own flags, its texts, and whom to ask. */
export const srvOptions: {
  readonly discoverySrv: OptionSpec<"string">;
  readonly discoverySrvName: OptionSpec<"string">;
  readonly insecureDiscovery: OptionSpec<"bool">;
} = {
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
};

/** The row about who is asked for SRV records. */
export const dnsServersOption: { readonly dnsServers: OptionSpec<"strings"> } = {
  dnsServers: stringsOption({
    flag: "dns-servers",
    default: [],
    doc: "comma separated resolvers to ask for SRV records, and for targets that the system does not find, as host:port (default: the system's)",
    since: "edge",
  }),
};

/** The row of a tier that can follow the discovery tier over HTTP. */
export const discoveryUrlOption: { readonly discoveryUrl: OptionSpec<"strings"> } = {
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
};

/** The row of a tier that can follow the member list, see `followMembers`. */
export const autoSyncOption: { readonly endpointsAutoSyncInterval: OptionSpec<"duration"> } = {
  endpointsAutoSyncInterval: durationOption({
    flag: "endpoints-auto-sync-interval",
    default: 0,
    doc: "etcd endpoints auto sync interval (disabled by default)",
    since: "3.5",
  }),
};
