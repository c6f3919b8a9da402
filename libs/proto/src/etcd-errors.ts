import { GrpcStatus, type GrpcStatusCode } from "./grpc-status.ts";

/** An error as etcd puts it on the wire. Clients branch on the text as much as on the code: both are API. */
export interface EtcdError {
  readonly code: GrpcStatusCode;
  readonly message: string;
  /** True for texts that no 3.4 release sends. */
  readonly absentFrom34: boolean;
}

function both(code: GrpcStatusCode, text: string): EtcdError {
  return { code, message: `etcdserver: ${text}`, absentFrom34: false };
}

function later(code: GrpcStatusCode, text: string): EtcdError {
  return { code, message: `etcdserver: ${text}`, absentFrom34: true };
}

/** Names for the errors of etcd's own services. */
export type EtcdErrorName =
  | "requestCanceled"
  | "watchCanceled"
  | "authFailed"
  | "duplicateKey"
  | "memberUrlsInvalid"
  | "invalidAuthManagement"
  | "invalidClientApiVersion"
  | "invalidDowngradeTargetVersion"
  | "invalidSortOption"
  | "emptyKey"
  | "keyNotFound"
  | "leaseProvided"
  | "permissionNotGiven"
  | "requestTooLarge"
  | "authOldRevision"
  | "roleEmpty"
  | "tooManyOps"
  | "userEmpty"
  | "valueProvided"
  | "wrongDowngradeVersionFormat"
  | "deadlineExceeded"
  | "memberNotFound"
  | "leaseNotFound"
  | "permissionDenied"
  | "noSpace"
  | "tooManyRequests"
  | "peerUrlsExist"
  | "authNotEnabled"
  | "badLeaderTransferee"
  | "memberNotLearner"
  | "learnerNotReady"
  | "clusterIdMismatch"
  | "downgradeInProgress"
  | "clusterVersionUnavailable"
  | "leaseExists"
  | "memberExists"
  | "noInflightDowngrade"
  | "notCapable"
  | "notLeader"
  | "permissionNotGranted"
  | "memberNotEnoughStarted"
  | "roleNotGranted"
  | "roleAlreadyExists"
  | "roleNotFound"
  | "rootUserNotExist"
  | "rootRoleNotExist"
  | "notSupportedForLearner"
  | "tooManyLearners"
  | "userAlreadyExists"
  | "userNotFound"
  | "compacted"
  | "futureRevision"
  | "leaseTtlTooLarge"
  | "leaderChanged"
  | "noLeader"
  | "timeout"
  | "timeoutConnectionLost"
  | "timeoutLeaderFailure"
  | "timeoutWaitAppliedIndex"
  | "stopped"
  | "unhealthy"
  | "corrupt"
  | "invalidAuthToken";

/** Errors of KV, Watch, Lease, Cluster, Maintenance and Auth. */
export const etcdErrors: Readonly<Record<EtcdErrorName, EtcdError>> = {
  requestCanceled: later(GrpcStatus.CANCELLED, "request canceled"),
  watchCanceled: both(GrpcStatus.CANCELLED, "watch canceled"),
  authFailed: both(GrpcStatus.INVALID_ARGUMENT, "authentication failed, invalid user ID or password"),
  duplicateKey: both(GrpcStatus.INVALID_ARGUMENT, "duplicate key given in txn request"),
  memberUrlsInvalid: both(GrpcStatus.INVALID_ARGUMENT, "given member URLs are invalid"),
  invalidAuthManagement: both(GrpcStatus.INVALID_ARGUMENT, "invalid auth management"),
  invalidClientApiVersion: later(GrpcStatus.INVALID_ARGUMENT, "invalid client api version"),
  invalidDowngradeTargetVersion: later(GrpcStatus.INVALID_ARGUMENT, "invalid downgrade target version"),
  invalidSortOption: later(GrpcStatus.INVALID_ARGUMENT, "invalid sort option"),
  emptyKey: both(GrpcStatus.INVALID_ARGUMENT, "key is not provided"),
  keyNotFound: both(GrpcStatus.INVALID_ARGUMENT, "key not found"),
  leaseProvided: both(GrpcStatus.INVALID_ARGUMENT, "lease is provided"),
  permissionNotGiven: later(GrpcStatus.INVALID_ARGUMENT, "permission not given"),
  requestTooLarge: both(GrpcStatus.INVALID_ARGUMENT, "request is too large"),
  authOldRevision: both(GrpcStatus.INVALID_ARGUMENT, "revision of auth store is old"),
  roleEmpty: both(GrpcStatus.INVALID_ARGUMENT, "role name is empty"),
  tooManyOps: both(GrpcStatus.INVALID_ARGUMENT, "too many operations in txn request"),
  userEmpty: both(GrpcStatus.INVALID_ARGUMENT, "user name is empty"),
  valueProvided: both(GrpcStatus.INVALID_ARGUMENT, "value is provided"),
  wrongDowngradeVersionFormat: later(GrpcStatus.INVALID_ARGUMENT, "wrong downgrade target version format"),
  deadlineExceeded: later(GrpcStatus.DEADLINE_EXCEEDED, "context deadline exceeded"),
  memberNotFound: both(GrpcStatus.NOT_FOUND, "member not found"),
  leaseNotFound: both(GrpcStatus.NOT_FOUND, "requested lease not found"),
  permissionDenied: both(GrpcStatus.PERMISSION_DENIED, "permission denied"),
  noSpace: both(GrpcStatus.RESOURCE_EXHAUSTED, "mvcc: database space exceeded"),
  tooManyRequests: both(GrpcStatus.RESOURCE_EXHAUSTED, "too many requests"),
  peerUrlsExist: both(GrpcStatus.FAILED_PRECONDITION, "Peer URLs already exists"),
  authNotEnabled: both(GrpcStatus.FAILED_PRECONDITION, "authentication is not enabled"),
  badLeaderTransferee: both(GrpcStatus.FAILED_PRECONDITION, "bad leader transferee"),
  memberNotLearner: both(GrpcStatus.FAILED_PRECONDITION, "can only promote a learner member"),
  learnerNotReady: both(
    GrpcStatus.FAILED_PRECONDITION,
    "can only promote a learner member which is in sync with leader",
  ),
  clusterIdMismatch: later(GrpcStatus.FAILED_PRECONDITION, "cluster ID mismatch"),
  downgradeInProgress: later(GrpcStatus.FAILED_PRECONDITION, "cluster has a downgrade job in progress"),
  clusterVersionUnavailable: later(
    GrpcStatus.FAILED_PRECONDITION,
    "cluster version not found during downgrade",
  ),
  leaseExists: both(GrpcStatus.FAILED_PRECONDITION, "lease already exists"),
  memberExists: both(GrpcStatus.FAILED_PRECONDITION, "member ID already exist"),
  noInflightDowngrade: later(GrpcStatus.FAILED_PRECONDITION, "no inflight downgrade job"),
  notCapable: both(GrpcStatus.FAILED_PRECONDITION, "not capable"),
  notLeader: both(GrpcStatus.FAILED_PRECONDITION, "not leader"),
  permissionNotGranted: both(GrpcStatus.FAILED_PRECONDITION, "permission is not granted to the role"),
  memberNotEnoughStarted: both(
    GrpcStatus.FAILED_PRECONDITION,
    "re-configuration failed due to not enough started members",
  ),
  roleNotGranted: both(GrpcStatus.FAILED_PRECONDITION, "role is not granted to the user"),
  roleAlreadyExists: both(GrpcStatus.FAILED_PRECONDITION, "role name already exists"),
  roleNotFound: both(GrpcStatus.FAILED_PRECONDITION, "role name not found"),
  rootUserNotExist: both(GrpcStatus.FAILED_PRECONDITION, "root user does not exist"),
  rootRoleNotExist: both(GrpcStatus.FAILED_PRECONDITION, "root user does not have root role"),
  notSupportedForLearner: both(GrpcStatus.FAILED_PRECONDITION, "rpc not supported for learner"),
  tooManyLearners: both(GrpcStatus.FAILED_PRECONDITION, "too many learner members in cluster"),
  userAlreadyExists: both(GrpcStatus.FAILED_PRECONDITION, "user name already exists"),
  userNotFound: both(GrpcStatus.FAILED_PRECONDITION, "user name not found"),
  compacted: both(GrpcStatus.OUT_OF_RANGE, "mvcc: required revision has been compacted"),
  futureRevision: both(GrpcStatus.OUT_OF_RANGE, "mvcc: required revision is a future revision"),
  leaseTtlTooLarge: both(GrpcStatus.OUT_OF_RANGE, "too large lease TTL"),
  leaderChanged: both(GrpcStatus.UNAVAILABLE, "leader changed"),
  noLeader: both(GrpcStatus.UNAVAILABLE, "no leader"),
  timeout: both(GrpcStatus.UNAVAILABLE, "request timed out"),
  timeoutConnectionLost: both(GrpcStatus.UNAVAILABLE, "request timed out, possibly due to connection lost"),
  timeoutLeaderFailure: both(
    GrpcStatus.UNAVAILABLE,
    "request timed out, possibly due to previous leader failure",
  ),
  timeoutWaitAppliedIndex: both(
    GrpcStatus.UNAVAILABLE,
    "request timed out, waiting for the applied index took too long",
  ),
  stopped: both(GrpcStatus.UNAVAILABLE, "server stopped"),
  unhealthy: both(GrpcStatus.UNAVAILABLE, "unhealthy cluster"),
  corrupt: both(GrpcStatus.DATA_LOSS, "corrupt cluster"),
  invalidAuthToken: both(GrpcStatus.UNAUTHENTICATED, "invalid auth token"),
};

/**
 * Texts of the lock and election services. They carry no code of their own: etcd answers every error of these two
 * services, even one of {@link etcdErrors}, with UNKNOWN.
 */
export const concurrencyErrors: {
  readonly noLeader: "election: no leader";
  readonly notLeader: "election: not leader";
  readonly leaderFieldMissing: '"leader" field must be provided';
} = {
  noLeader: "election: no leader",
  notLeader: "election: not leader",
  leaderFieldMissing: '"leader" field must be provided',
};

const byMessage: ReadonlyMap<string, EtcdError> = new Map(
  Object.values(etcdErrors).map((error) => [error.message, error]),
);

/**
 * The error that etcd means by a text, whatever code it came with: proxies and the concurrency services flatten
 * codes to UNKNOWN and keep the text.
 */
export function findEtcdError(message: string): EtcdError | undefined {
  return byMessage.get(message);
}
