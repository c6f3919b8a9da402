import { KV, Maintenance, toGrpcJsService } from "@etcd-edge/proto";
import type { TlsMaterial } from "../health/connect.ts";
import type { Probe, ProbeResult } from "../health/probe.ts";
import { toFailure } from "../health/socket-probes.ts";
import { isAnswer, withEtcd } from "./etcd-call.ts";

const askStatus = toGrpcJsService(Maintenance).status;
const askRange = toGrpcJsService(KV).range;
/** No key is this one: it costs nothing but the look. */
const anyRead = { key: Uint8Array.of(0), serializable: true, countOnly: true };

/**
 * Asks a member for its status, and for a read from its own store: alive if it is a voting member that knows a leader, and
 * reads. A status comes from memory, also where the disk has stopped. Endpoints with scheme `https` or `unixs` are spoken
 * to with TLS and verified, all others in cleartext. A member that answers but refuses the question (auth, an old etcd)
 * counts as alive.
 */
export function createEtcdProbe(tls: TlsMaterial = {}): Probe {
  return async (endpoint, signal) => {
    try {
      return await withEtcd(endpoint, { tls, signal }, async (call): Promise<ProbeResult> => {
        const { leader, isLearner } = await call(askStatus, {});
        if (isLearner) return { t: "unreachable", error: "is a learner" };
        if (leader === 0n) return { t: "unreachable", error: "has no leader" };
        await call(askRange, anyRead);
        return { t: "alive" };
      });
    } catch (error) {
      return isAnswer(error) ? { t: "alive" } : toFailure(error, signal);
    }
  };
}
