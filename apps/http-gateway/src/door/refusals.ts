import type { Message } from "@bufbuild/protobuf";
import {
  AlarmRequest_AlarmAction,
  AlarmRequestSchema,
  AlarmType,
  etcdErrors,
  GrpcStatus,
  isMessage,
  type RangeRequest,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  RangeRequestSchema,
  type RequestOp,
  type TxnRequest,
  TxnRequestSchema,
} from "@etcd-edge/proto";
import type { Failure } from "../http/failure.ts";
import type { JsonProfile } from "../profile/json-profile.ts";

/**
 * Requests that would end an etcd process. A single one may take a whole cluster down, by raft or by being retried
 * on the next member, so they never leave this process.
 *
 * - A sort order or target outside the schema panics every 3.4 and 3.5; newer ones answer the error given here.
 * - Raising the alarm NONE kills every 3.4 at the moment it is applied, on all members; 3.5 and later ignore it.
 */
export function refuse(profile: JsonProfile, message: Message): Failure | undefined {
  if (isMessage(message, RangeRequestSchema)) return refuseRange(message);
  if (isMessage(message, TxnRequestSchema)) return refuseTxn(message);
  if (isMessage(message, AlarmRequestSchema)) {
    const raisesNone =
      message.action === AlarmRequest_AlarmAction.ACTIVATE && message.alarm === AlarmType.NONE;
    if (raisesNone && profile.generation === "v1") {
      return {
        status: GrpcStatus.INVALID_ARGUMENT,
        message: "alarm to activate is not given",
        origin: "local",
      };
    }
  }
  return undefined;
}

const sortOrders: readonly number[] = Object.values(RangeRequest_SortOrder);
const sortTargets: readonly number[] = Object.values(RangeRequest_SortTarget);

function refuseRange(range: RangeRequest): Failure | undefined {
  if (sortOrders.includes(range.sortOrder) && sortTargets.includes(range.sortTarget)) return undefined;
  const { code, message } = etcdErrors.invalidSortOption;
  return { status: code, message, origin: "local" };
}

function refuseTxn(txn: TxnRequest): Failure | undefined {
  return refuseOps(txn.success) ?? refuseOps(txn.failure);
}

function refuseOps(ops: readonly RequestOp[]): Failure | undefined {
  for (const { request } of ops) {
    let failure: Failure | undefined;
    if (request.case === "requestRange") failure = refuseRange(request.value);
    else if (request.case === "requestTxn") failure = refuseTxn(request.value);
    if (failure !== undefined) return failure;
  }
  return undefined;
}
