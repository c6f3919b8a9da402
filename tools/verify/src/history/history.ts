import type { Operation } from "./operation.ts";
import type { RightsRecord } from "./rights.ts";
import type { ChangeEvent } from "./stored.ts";
import type { WatchRecord } from "./watch-record.ts";

/** The life of one lease, as its client saw it. Times as everywhere; seconds are etcd's unit for what is granted. */
export interface LeaseRecord {
  readonly id: bigint;
  readonly client: number;
  readonly grantInvokedAt: number;
  readonly grantReturnedAt: number;
  readonly ttlSeconds: number;
  readonly renewals: readonly {
    readonly sentAt: number;
    readonly answeredAt: number;
    /** What the answer says is left; 0 for a lease that is gone. */
    readonly ttlSeconds: number;
  }[];
  /** When a renewal was last sent, answered or not. */
  readonly lastRenewalTriedAt?: number;
  /** A key that was put with it and never again. */
  readonly key: string;
  readonly revokeAskedAt?: number;
}

/** What the run itself saw of the store, one revision after the other, beside the watches that are judged. */
export interface ReferenceChange {
  readonly at: number;
  readonly revision: bigint;
  readonly events: readonly ChangeEvent[];
}

/** What the reference did not see: revisions in (after, upto]. */
interface ReferenceGap {
  readonly after: bigint;
  readonly upto: bigint;
}

/** Everything that was recorded of one run. */
export interface History {
  /** Keys of the run begin with it. */
  readonly prefix: string;
  readonly operations: readonly Operation[];
  readonly watches: readonly WatchRecord[];
  readonly leases: readonly LeaseRecord[];
  readonly reference: {
    /** It knows every change above this revision, but for the gaps; none of the run's keys was there before. */
    readonly from: bigint;
    readonly changes: readonly ReferenceChange[];
    readonly gaps: readonly ReferenceGap[];
  };
  /** What was asked to be compacted, whether or not it was answered. */
  readonly compactions: readonly { readonly askedAt: number; readonly revision: bigint }[];
  /** Of users who may do some things only; absent where everybody may do everything. */
  readonly rights?: RightsRecord;
  /** When nothing more was disturbed, and by when all had to come to rest. */
  readonly calmFrom: number;
  readonly endedAt: number;
  /** When a fault was in force: [from, to]. */
  readonly disturbances: readonly (readonly [number, number])[];
}
