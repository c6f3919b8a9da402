import {
  AlarmRequestSchema,
  fromBinary,
  hasInvalidSort,
  lethalRequestErrors,
  type RpcPath,
  raisesAlarmNone,
} from "@etcd-edge/proto";
import type { Refusal } from "./call-transform.ts";

/** Says why a request must not reach an etcd, or nothing. Throws where the bytes are no such request. */
export type RequestCheck = (payload: Uint8Array) => Refusal | undefined;

const refuseSort =
  (kind: "range" | "txn"): RequestCheck =>
  (payload) =>
    hasInvalidSort(payload, kind) ? lethalRequestErrors.invalidSort : undefined;

/**
 * The checks of RPCs whose requests can end an etcd process (rule 13); whoever sends such a request again on the next member
 * takes the cluster down.
 *
 * @param survivesAlarmNone whether every member there may be is known to live through the alarm NONE
 */
export function createRequestChecks(survivesAlarmNone: () => boolean): {
  readonly [P in RpcPath]?: RequestCheck;
} {
  return {
    "/etcdserverpb.KV/Range": refuseSort("range"),
    "/etcdserverpb.KV/RangeStream": refuseSort("range"),
    "/etcdserverpb.KV/Txn": refuseSort("txn"),
    "/etcdserverpb.Maintenance/Alarm": (payload) =>
      raisesAlarmNone(fromBinary(AlarmRequestSchema, payload)) && !survivesAlarmNone()
        ? lethalRequestErrors.alarmNone
        : undefined,
  };
}
