// What other tools use of the suite: its client and its gates.
export { bytes } from "./context.ts";
export { EtcdClient } from "./etcd-client.ts";
export type { MessageStream } from "./message-stream.ts";
export { auth, cluster, kv, lease, watch } from "./methods.ts";
export { isAtLeast } from "./version-gate.ts";
