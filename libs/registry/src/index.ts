export { RegisteredProxies, type RegisteredProxiesOptions } from "./registered-proxies.ts";
export { Registration, type RegistrationOptions, type RegistrationState } from "./registration.ts";
export { formatRegistryValue, type RegisteredProxy, registryPrefix } from "./registry-entry.ts";
export type { RegistryEtcd } from "./registry-etcd.ts";
export { createUpstreamEtcd } from "./upstream-etcd.ts";
