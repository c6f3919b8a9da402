import { type EtcdError, etcdErrors } from "./etcd-errors.ts";
import type { AlarmRequest } from "./gen/etcdserverpb/maintenance_pb.ts";
import { AlarmRequest_AlarmAction, AlarmType } from "./gen/etcdserverpb/maintenance_pb.ts";
import { GrpcStatus } from "./grpc-status.ts";

/**
 * Requests that end an etcd process (rule 13). A single one may take a whole cluster down, by raft or by being retried on
 * the next member, so no door of ours lets one through.
 *
 * - A sort order or target outside the schema ends every 3.4 and 3.5; newer ones answer an error. It is refused always.
 * - Raising the alarm NONE ends every 3.4 at the moment it is applied, on all members of the cluster; 3.5 and later ignore
 *   it. It is refused unless every member is known to be newer.
 */
export const lethalRequestErrors: {
  readonly invalidSort: EtcdError;
  readonly alarmNone: Pick<EtcdError, "code" | "message">;
} = {
  invalidSort: etcdErrors.invalidSortOption,
  // No etcd answers this request with an error: the words are ours.
  alarmNone: { code: GrpcStatus.INVALID_ARGUMENT, message: "alarm to activate is not given" },
};

/** Whether the request raises the alarm NONE. */
export function raisesAlarmNone({ action, alarm }: AlarmRequest): boolean {
  return action === AlarmRequest_AlarmAction.ACTIVATE && alarm === AlarmType.NONE;
}

/** Whether a member of this version survives the alarm NONE. An unknown version is taken for an old one. */
export function survivesAlarmNone(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 3 || (major === 3 && minor >= 5);
}
