import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { type Logger, version } from "@etcd-edge/runtime";
import { createHttpMessenger } from "./presence-http.ts";
import { type Messenger, type PresenceReport, reportPresence } from "./report-presence.ts";

export interface RollCallOptions {
  readonly tier: string;
  /** `--advertise-url`, or what stands for it; empty where the replica is not to be found. */
  readonly url: string;
  /** `--discovery-url`. */
  readonly discoveryUrls: readonly string[];
  /** Of `--fabric-key-file`. */
  readonly key: Uint8Array | undefined;
  /** Over NATS, where there is one. */
  readonly bus: Messenger | undefined;
  /** Why it wants no new clients, where it wants none. */
  readonly notReady: () => string | undefined;
  readonly stats: () => Readonly<Record<string, number>>;
  readonly logger: Logger;
}

/**
 * Tells discovery of this process, every five seconds and when it is asked.
 * @returns nothing where there is nobody to tell. Dispose of it before clients are sent away: that says so.
 */
export function joinRollCall(options: RollCallOptions): PresenceReport | undefined {
  const { tier, url, discoveryUrls, key, bus, notReady, stats, logger } = options;
  // Who is not to be found has nothing to tell over HTTP; on NATS status pages want to know of it all the same.
  const hears = url === "" ? [] : discoveryUrls;
  const failing = new Set<string>();
  const http = createHttpMessenger(hears, key, {
    onFailed: (where, error) => {
      if (!failing.has(where)) logger.warn("failed to tell discovery of this replica", { url: where, error });
      failing.add(where);
    },
    onTold: (where) => {
      if (failing.delete(where)) logger.info("discovery knows of this replica again", { url: where });
    },
  });
  const messengers = [...(bus === undefined ? [] : [bus]), ...(hears.length === 0 ? [] : [http])];
  if (messengers.length === 0) return undefined;
  const own = { id: randomUUID(), tier, name: hostname(), version };
  return reportPresence({
    messengers,
    describe: () => {
      const reason = notReady();
      return {
        ...own,
        ...(url === "" ? {} : { url: url.replaceAll("{hostname}", hostname()) }),
        ...(reason === undefined ? {} : { notReady: reason }),
        uptimeSeconds: process.uptime(),
        stats: stats(),
      };
    },
  });
}
