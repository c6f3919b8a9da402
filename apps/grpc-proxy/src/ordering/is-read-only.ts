import {
  fromBinary,
  type RequestOp,
  type RpcPath,
  type TxnRequest,
  TxnRequestSchema,
} from "@etcd-edge/proto";

/** Whether sending this request again changes nothing: a Range, or a Txn of nothing else. */
export function isReadOnly(path: RpcPath, request: Uint8Array): boolean {
  if (path === "/etcdserverpb.KV/Range" || path === "/etcdserverpb.KV/RangeStream") return true;
  return path === "/etcdserverpb.KV/Txn" && isReadOnlyTxn(fromBinary(TxnRequestSchema, request));
}

function isReadOnlyTxn({ success, failure }: TxnRequest): boolean {
  return success.every(isReadOnlyOp) && failure.every(isReadOnlyOp);
}

function isReadOnlyOp({ request }: RequestOp): boolean {
  return request.case === "requestRange" || (request.case === "requestTxn" && isReadOnlyTxn(request.value));
}
