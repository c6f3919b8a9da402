import type { RightsRecord } from "../history/rights.ts";
import type { EtcdClientOptions, EtcdUser } from "./etcd-client.ts";
import type { KeySpace } from "./key-space.ts";
import type { Recorder } from "./recorder.ts";

/** Users whose rights come and go, and what the door promises about that. */
export interface LimitedUsers extends Omit<RightsRecord, "records"> {
  readonly users: readonly EtcdUser[];
}

/** How much of everything there is in a round. */
export interface RoundOptions {
  /** What is judged. */
  readonly target: EtcdClientOptions;
  /** Where the same is to be had over HTTP and JSON; nothing where it is not. */
  readonly http?: EtcdClientOptions;
  /** Where the reference looks: etcd itself, if it can be reached; else the same as the target. */
  readonly reference: EtcdClientOptions;
  /** Of reads and writes, together. */
  readonly ratePerSecond: number;
  readonly clients: number;
  /** Users of whom each may do some things only, half of the clients are theirs; nothing where there are none. */
  readonly limited?: LimitedUsers;
  /** Streams, each with up to four watches. */
  readonly watchStreams: number;
  readonly leaseClients: number;
  /** Written before the watches begin: starts in the past then have more behind them than etcd sends at once. */
  readonly backlog: number;
  readonly groups: number;
  readonly keysPerGroup: number;
  /** How often something is compacted, in milliseconds; 0 for never. */
  readonly compactEveryMs: number;
  /** How long everything may take to come to rest once nothing is disturbed any more; what has not by then never will. */
  readonly settleMs: number;
}

/** Who a client is: of those with even numbers one after the other is a user of limited rights, where there are any. */
export function targetOf(options: RoundOptions, client: number): EtcdClientOptions {
  return as(options.target, options, client);
}

/** The same, over HTTP; nothing where that is not to be had. */
export function httpTargetOf(options: RoundOptions, client: number): EtcdClientOptions | undefined {
  return options.http && as(options.http, options, client);
}

function as(target: EtcdClientOptions, { limited }: RoundOptions, client: number): EtcdClientOptions {
  const users = limited?.users ?? [];
  const user = client % 2 === 0 ? users[(client / 2) % users.length] : undefined;
  return user === undefined ? target : { ...target, user };
}

/** What the actors of a round share. */
export interface RoundContext {
  readonly options: RoundOptions;
  readonly recorder: Recorder;
  readonly space: KeySpace;
  /** Aborted when the traffic of the round is over. */
  readonly traffic: AbortSignal;
  /** Aborted when the round is over: watches end. */
  readonly end: AbortSignal;
  onOperation(): void;
  /** Waits while nobody is to say anything. */
  whileHushed(): Promise<void>;
}
