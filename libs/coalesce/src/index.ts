export { Admission, type TurnedAway } from "./admission/admission.ts";
export type { CacheCounts } from "./cache/cache-counts.ts";
export { type CacheLimits, defaultCacheLimits } from "./cache/cache-limits.ts";
export type { CachedRead, CacheScope } from "./cache/cached-read.ts";
export type { CompactionFloor } from "./cache/compaction-floor.ts";
export { defaultStoreGuard, GuardedStore, type StoreCounts, type StoreGuard } from "./cache/guarded-store.ts";
export type { HeldEnd, HeldRange } from "./cache/held-range.ts";
export type { HeldCounts, HeldRanges } from "./cache/held-ranges.ts";
export { createRangePlan, type RangePlan } from "./cache/range-plan.ts";
export { ReadCache, type ReadCacheOptions } from "./cache/read-cache.ts";
export {
  ReadDesk,
  type ReadDeskOptions,
  type Reader,
  type ReadScopePlans,
  type ReadSeat,
  type SeatedRead,
} from "./cache/read-desk.ts";
export { RemoteAnswers } from "./cache/remote-answers.ts";
export { InProcessStore, type SharedStore } from "./cache/shared-store.ts";
export type { EpochMemory, EpochRecord, EpochTag } from "./epoch/epoch-record.ts";
export { type EpochChange, Epochs } from "./epoch/epochs.ts";
export { StoredEpochs, type StoredEpochsOptions } from "./epoch/stored-epochs.ts";
export { type CreateRate, defaultCreateRate } from "./fabric/create-budget.ts";
export type { FabricCounters } from "./fabric/fabric-counters.ts";
export {
  FabricReplica,
  type FabricReplicaOptions,
  type ReplicaDescription,
} from "./fabric/fabric-replica.ts";
export type { FeedFabric } from "./fabric/feed-fabric.ts";
export type { Digest, FabricBus } from "./fabric/ports.ts";
export type { Replica } from "./fabric/roster.ts";
export type { KeepAliveSession } from "./lease/keep-alive-session.ts";
export { LeaseBook, type LeaseBookCounts, type LeaseBookOptions } from "./lease/lease-book.ts";
export { defaultLeaseLimits, type LeaseBookLimits } from "./lease/lease-limits.ts";
export type { LeaseBookTotals } from "./lease/lease-totals.ts";
export type {
  KeepAliveSink,
  LeaseClock,
  LeaseTimer,
  OpenRenewalStream,
  RenewalAnswer,
  RenewalFailure,
  RenewalReply,
  RenewalScope,
  RenewalStream,
  RenewalStreamEnd,
  RenewalStreamSink,
} from "./lease/ports.ts";
export { covers } from "./permission/key-permissions.ts";
export { PermissionBook, type PermissionBookOptions } from "./permission/permission-book.ts";
export { ReadPermissions, type ReadPermissionsOptions } from "./permission/read-permissions.ts";
export { Revocation, type RevocationOptions } from "./permission/revocation.ts";
export { findVerdict, type PermissionSource, type Verdict } from "./permission/verdict.ts";
export { compareBytes, successor } from "./range/bytes.ts";
export {
  contains,
  hasKey,
  isSameRange,
  type KeyRange,
  lowerBound,
  overlaps,
  type RangeFields,
  rangeId,
  toKeyRange,
  toRangeFields,
  upperBound,
} from "./range/key-range.ts";
export { endOfPrefix } from "./range/prefix-end.ts";
export type {
  ReadFailure,
  ReadMembers,
  ReadResult,
  ReadScope,
  Reads,
  SharedRead,
  UpstreamEnd,
  UpstreamRead,
} from "./read/ports.ts";
export { findShareable, ReadHub, type ReadHubOptions } from "./read/read-hub.ts";
export type { ReadCounts, ReadLimits } from "./read/read-limits.ts";
export { ReadsUnderUser, type ReadsUnderUserOptions } from "./read/reads-under-user.ts";
export { type StreamOpener, UpstreamPool } from "./upstream/upstream-pool.ts";
export type { StreamPort, StreamSink } from "./upstream/upstream-stream.ts";
export type { UpstreamEnd as UpstreamWatchEnd, WatchSource } from "./upstream/upstream-watch.ts";
export { gatesOf, gatesOfStatusRefusal, oldestGates, type VersionGates } from "./upstream/version-gates.ts";
export type { Fan, FanPort, SessionPort } from "./watch/fan.ts";
export type { Feed } from "./watch/feed.ts";
export { FeedSpread } from "./watch/feed-spread.ts";
export { createHubCounters, type HubCounters, type HubEvent } from "./watch/hub-event.ts";
export { LogBudget } from "./watch/log-budget.ts";
export { ProbeError } from "./watch/probe-flight.ts";
export type { FeedSharing, FeedSharingView, HubPort } from "./watch/sharing.ts";
export { TimeLimit } from "./watch/time-limit.ts";
export { createOwnDesk, type WatchDesk } from "./watch/watch-desk.ts";
export { WatchHub, type WatchHubOptions } from "./watch/watch-hub.ts";
export type { WatchCount, WatchLimits } from "./watch/watch-limits.ts";
export { type SessionContext, type SessionCounters, WatchSession } from "./watch/watch-session.ts";
export type { Watcher } from "./watch/watcher.ts";
