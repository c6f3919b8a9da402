import type { KeyRoles } from "./message-plan.ts";

/** Where user keys stand in the messages of KV, Watch and Lease. */
export const dataKeyRoles: KeyRoles = {
  "mvccpb.KeyValue": { key: "key" },
  "etcdserverpb.RangeRequest": { key: "key", range_end: "rangeEnd" },
  "etcdserverpb.PutRequest": { key: "key" },
  "etcdserverpb.DeleteRangeRequest": { key: "key", range_end: "rangeEnd" },
  "etcdserverpb.Compare": { key: "key", range_end: "rangeEnd" },
  "etcdserverpb.WatchCreateRequest": { key: "watchKey", range_end: "rangeEnd" },
  "etcdserverpb.LeaseTimeToLiveResponse": { keys: "keyOfList" },
};

/** The same for Lock and Election, whose names are the beginnings of keys. */
export const lockKeyRoles: KeyRoles = {
  "mvccpb.KeyValue": { key: "key" },
  "v3lockpb.LockRequest": { name: "start" },
  "v3lockpb.LockResponse": { key: "key" },
  "v3lockpb.UnlockRequest": { key: "key" },
  "v3electionpb.CampaignRequest": { name: "start" },
  "v3electionpb.LeaderRequest": { name: "start" },
  "v3electionpb.LeaderKey": { name: "start", key: "key" },
};
