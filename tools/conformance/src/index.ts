// What other tools use of the suite: its client and its gates.
export { bytes } from "./context.ts";
export { EtcdClient } from "./etcd-client.ts";
export { auth, cluster, kv, lease, watch } from "./methods.ts";
export { isAtLeast } from "./version-gate.ts";
