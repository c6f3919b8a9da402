import { boolOption, type OptionSpec, stringOption } from "@etcd-edge/runtime";

/** Rows of the tiers that can follow discovery, beside `--discovery-url`; `openUpstreamSource` reads what they say. */
export const discoveryOptions: {
  readonly discoveryTier: OptionSpec<"string">;
  readonly discoveryFabric: OptionSpec<"bool">;
  readonly discoveryCluster: OptionSpec<"string">;
} = {
  discoveryTier: stringOption({
    flag: "discovery-tier",
    default: "members",
    doc: "whose endpoints --discovery-url or --discovery-fabric are asked for: members of etcd, or grpc-proxy, http-gateway or tcp-gateway",
    since: "edge",
    check: (value) =>
      /^[a-z][a-z0-9-]{0,30}$/.test(value)
        ? undefined
        : `invalid argument ${JSON.stringify(value)} for "--discovery-tier" flag: must be members or the name of a tier`,
  }),
  discoveryFabric: boolOption({
    flag: "discovery-fabric",
    default: false,
    doc: "follow the endpoints that discovery announces on NATS, instead of SRV records or --discovery-url",
    since: "edge",
  }),
  discoveryCluster: stringOption({
    flag: "discovery-cluster",
    default: "etcd",
    doc: "name of the etcd cluster (--cluster of discovery) whose announcements --discovery-fabric follows",
    since: "edge",
  }),
};
