export { ChannelBalancer, type ChannelBalancerOptions } from "./channels/channel-balancer.ts";
export { toChannelTarget } from "./channels/channel-options.ts";
export { foreignCluster } from "./channels/foreign-cluster.ts";
export type { ChannelUse, Upstream } from "./channels/upstream.ts";
export { createConfiguredClient } from "./dns/configured-client.ts";
export { DnsClient, type DnsClientOptions, DnsError, type DnsErrorCode } from "./dns/dns-client.ts";
export {
  lookupSrv,
  type SrvLookup,
  SrvLookupError,
  type SrvService,
  srvRecordName,
} from "./dns/srv-lookup.ts";
export {
  canonicalHost,
  type Endpoint,
  type EndpointScheme,
  endpointAddress,
  endpointKey,
  endpointUrl,
  isTlsEndpoint,
  isUnixEndpoint,
} from "./endpoint.ts";
export { EndpointPool, type EndpointPoolOptions, type EndpointTransition } from "./endpoint-pool.ts";
export {
  type EndpointSet,
  EndpointSetHolder,
  type EndpointSetListener,
  type EndpointSource,
  hasSameEndpoints,
  uniqueEndpoints,
} from "./endpoint-set.ts";
export { createEtcdProbe } from "./etcd/etcd-probe.ts";
export {
  type CallsAsUser,
  createMemberLister,
  type FollowMembersOptions,
  followMembers,
} from "./etcd/follow-members.ts";
export { createMemberSource, type MemberSource, type MemberSourceOptions } from "./etcd/member-source.ts";
export { createAutoProbe } from "./health/auto-probe.ts";
export type { Opening, TlsMaterial } from "./health/connect.ts";
export type { EndpointHealth, HealthPolicy } from "./health/endpoint-health.ts";
export { createHttpProbe } from "./health/http-probe.ts";
export { outlierOptions } from "./health/outlier-options.ts";
export { Outliers, type WorkRecord } from "./health/outliers.ts";
export { isLocalError, type MemberStatus, type Probe, type ProbeResult } from "./health/probe.ts";
export { createTcpProbe, createTlsProbe } from "./health/socket-probes.ts";
export { lookupHost, resolveHost } from "./lookup-host.ts";
export {
  type ParsedEndpoints,
  parseEndpoint,
  parseEndpoints,
  splitHostPort,
} from "./parse-endpoints.ts";
export { Picker, type RandomSource, type Standing } from "./picker.ts";
export {
  type ConfiguredSource,
  type ConfiguredSourceOptions,
  createConfiguredSource,
} from "./sources/configured-source.ts";
export { createPreferredSource } from "./sources/preferred-source.ts";
export type { RefreshingSource, RefreshOutcome } from "./sources/refreshing-source.ts";
export {
  autoSyncOption,
  discoveryUrlOption,
  dnsServersOption,
  srvOptions,
} from "./sources/source-options.ts";
export { createSrvSource, type SrvEvent, type SrvSourceOptions } from "./sources/srv-source.ts";
export { createStaticSource } from "./sources/static-source.ts";
export { type ValidatedEndpoints, validateEndpoints } from "./validate-endpoints.ts";
