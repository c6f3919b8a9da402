import { durationOption, type OptionSpec, type OptionValues, uintOption } from "@etcd-edge/runtime";
import type { WatchServiceOptions } from "./watch-service-options.ts";

/** Rows of the tiers that serve watches; `toWatchOptions` reads what they say. */
export const watchOptions: {
  readonly watchLogBytes: OptionSpec<"uint">;
  readonly watchLogBytesPerFeed: OptionSpec<"uint">;
  readonly watchProgressNotifyInterval: OptionSpec<"duration">;
  readonly watchCreateTimeout: OptionSpec<"duration">;
  readonly watchStallTimeout: OptionSpec<"duration">;
  readonly maxWatches: OptionSpec<"uint">;
  readonly maxWatchesPerConnection: OptionSpec<"uint">;
  readonly maxWatchesPerStream: OptionSpec<"uint">;
  readonly maxPendingWatchCreates: OptionSpec<"uint">;
  readonly authRecheck: OptionSpec<"duration">;
  readonly authGrace: OptionSpec<"duration">;
} = {
  watchLogBytes: uintOption({
    flag: "watch-log-bytes",
    default: 256 << 20,
    doc: "bytes of watch events that are kept in all for watchers that are behind; older ones are fetched from etcd again",
    since: "edge",
  }),
  watchLogBytesPerFeed: uintOption({
    flag: "watch-log-bytes-per-feed",
    default: 16 << 20,
    doc: "bytes of watch events that are kept of one watched range",
    since: "edge",
  }),
  watchProgressNotifyInterval: durationOption({
    flag: "watch-progress-notify-interval",
    default: 600_000,
    doc: "duration of periodical watch progress notification, to watches that asked for it and are quiet",
    since: "edge",
    check: (value) => (value > 0 ? undefined : "--watch-progress-notify-interval must be positive"),
  }),
  watchCreateTimeout: durationOption({
    flag: "watch-create-timeout",
    default: 5_000,
    doc: 'longest time the creation of a watch waits for etcd before it is answered "etcdserver: request timed out"',
    since: "edge",
    check: (value) => (value > 0 ? undefined : "--watch-create-timeout must be positive"),
  }),
  watchStallTimeout: durationOption({
    flag: "watch-stall-timeout",
    default: 600_000,
    doc: "a watch stream that its client has not read for this long is ended (0 for never)",
    since: "edge",
    check: (value) => (value >= 0 ? undefined : "--watch-stall-timeout must not be negative"),
  }),
  maxWatches: uintOption({
    flag: "max-watches",
    default: 1_000_000,
    doc: "maximum number of client watches",
    since: "edge",
  }),
  maxWatchesPerConnection: uintOption({
    flag: "max-watches-per-connection",
    default: 200_000,
    doc: "maximum number of watches of one client connection",
    since: "edge",
  }),
  maxWatchesPerStream: uintOption({
    flag: "max-watches-per-stream",
    default: 100_000,
    doc: "maximum number of watches of one client stream",
    since: "edge",
  }),
  maxPendingWatchCreates: uintOption({
    flag: "max-pending-watch-creates",
    default: 10_000,
    doc: "maximum number of requests of one watch stream that wait for their answer",
    since: "edge",
  }),
  authRecheck: durationOption({
    flag: "auth-recheck",
    default: 5_000,
    doc: "how often etcd is asked whether a live watch may go on, and how long its answer counts for what is shared: a revoked permission ends watches and shared reads within this time",
    since: "edge",
    check: (value) => (value > 0 ? undefined : "--auth-recheck must be positive"),
  }),
  authGrace: durationOption({
    flag: "auth-grace",
    default: 30_000,
    doc: "how long a watch on a feed of --user's waits, without events, for etcd to say whether it may go on, before it is cancelled",
    since: "edge",
    check: (value) => (value >= 0 ? undefined : "--auth-grace must not be negative"),
  }),
};

/** The flags that are about watches. */
export function toWatchOptions(
  config: OptionValues<typeof watchOptions>,
): Pick<
  WatchServiceOptions,
  | "limits"
  | "logBytes"
  | "progressNotifyIntervalMs"
  | "createTimeoutMs"
  | "stallTimeoutMs"
  | "authRecheckMs"
  | "authGraceMs"
> {
  return {
    limits: {
      total: config.maxWatches,
      perConnection: config.maxWatchesPerConnection,
      perStream: config.maxWatchesPerStream,
      pendingPerStream: config.maxPendingWatchCreates,
    },
    logBytes: { maxTotalBytes: config.watchLogBytes, maxLogBytes: config.watchLogBytesPerFeed },
    progressNotifyIntervalMs: config.watchProgressNotifyInterval,
    createTimeoutMs: config.watchCreateTimeout,
    stallTimeoutMs: config.watchStallTimeout,
    authRecheckMs: config.authRecheck,
    authGraceMs: config.authGrace,
  };
}
