import type { EtcdClient } from "@etcd-edge/conformance";
import type { EtcdCluster, RunningProgram } from "@etcd-edge/testkit";

/** What a check saw. */
export interface Finding {
  readonly good: boolean;
  /** In a few words, as a user would tell it. */
  readonly seen: string;
}

/** A proxy that was started for one check; it may have ended already. */
export interface StartedProxy {
  readonly program: RunningProgram;
  /** `host:port`, where it was told to listen. */
  readonly address: string;
  /** Whether it said that it serves, before it ended. */
  readonly isServing: boolean;
  connect(): EtcdClient;
}

/** One of the two sides: etcd's proxy of some version, or ours. Everything is taken down behind the check. */
export interface Side {
  /** Fresh, of the version that is compared. `members` is 1 where nothing else is said. */
  startEtcd(options?: { members?: 3 }): Promise<EtcdCluster>;
  startProxy(endpoints: readonly string[], flags?: readonly string[]): Promise<StartedProxy>;
}

/** One failure of etcd's own proxy, as a check that it fails and ours passes. */
export interface Row {
  /** `1`, `5a`: which failure, and which half of it. */
  readonly id: string;
  readonly title: string;
  /** Whether etcd's proxy of this version has the failure. */
  isIn(version: string): boolean;
  check(side: Side): Promise<Finding>;
}
