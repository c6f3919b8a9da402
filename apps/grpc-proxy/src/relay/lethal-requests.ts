import { etcdErrors, hasInvalidSort, type RpcPath } from "@etcd-edge/proto";
import type { Refusal } from "./call-transform.ts";

/** Says why a request must not reach an etcd, or nothing. Throws where the bytes are no such request. */
export type RequestCheck = (payload: Uint8Array) => Refusal | undefined;

const refuseSort =
  (kind: "range" | "txn"): RequestCheck =>
  (payload) =>
    hasInvalidSort(payload, kind) ? etcdErrors.invalidSortOption : undefined;

const checks: { readonly [P in RpcPath]?: RequestCheck } = {
  "/etcdserverpb.KV/Range": refuseSort("range"),
  "/etcdserverpb.KV/RangeStream": refuseSort("range"),
  "/etcdserverpb.KV/Txn": refuseSort("txn"),
};

/**
 * The check of an RPC whose requests can end an etcd process (rule 13): a sort outside the schema kills every 3.4 and
 * 3.5, and whoever sends it again on the next member takes the cluster down.
 */
export function findRequestCheck(path: RpcPath): RequestCheck | undefined {
  return checks[path];
}
