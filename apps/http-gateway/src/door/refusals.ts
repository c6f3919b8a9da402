import type { Message } from "@bufbuild/protobuf";
import {
  AlarmRequestSchema,
  isMessage,
  lethalRequestErrors,
  type RangeRequest,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  RangeRequestSchema,
  type RequestOp,
  raisesAlarmNone,
  type TxnRequest,
  TxnRequestSchema,
} from "@etcd-edge/proto";
import type { Failure } from "../http/failure.ts";
import type { JsonProfile } from "../profile/json-profile.ts";

/**
 * Requests that would end an etcd process never leave this one (rule 13): see `lethalRequestErrors`. What speaks JSON as
 * 3.4 does has a 3.4 among its members.
 */
export function refuse(profile: JsonProfile, message: Message): Failure | undefined {
  if (isMessage(message, RangeRequestSchema)) return refuseRange(message);
  if (isMessage(message, TxnRequestSchema)) return refuseTxn(message);
  if (isMessage(message, AlarmRequestSchema)) {
    if (raisesAlarmNone(message) && profile.generation === "v1") return toFailure("alarmNone");
  }
  return undefined;
}

function toFailure(name: keyof typeof lethalRequestErrors): Failure {
  const { code, message } = lethalRequestErrors[name];
  return { status: code, message, origin: "local" };
}

const sortOrders: readonly number[] = Object.values(RangeRequest_SortOrder);
const sortTargets: readonly number[] = Object.values(RangeRequest_SortTarget);

function refuseRange(range: RangeRequest): Failure | undefined {
  if (sortOrders.includes(range.sortOrder) && sortTargets.includes(range.sortTarget)) return undefined;
  return toFailure("invalidSort");
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
