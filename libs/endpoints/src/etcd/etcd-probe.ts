import { Maintenance, toGrpcJsService } from "@etcd-edge/proto";
import type { TlsMaterial } from "../health/connect.ts";
import type { Probe } from "../health/probe.ts";
import { toFailure } from "../health/socket-probes.ts";
import { callEtcd, isAnswer } from "./etcd-call.ts";

const askStatus = toGrpcJsService(Maintenance).status;

/**
 * Asks a member for its status: alive if it is a voting member that knows a leader. Endpoints with scheme `https` or
 * `unixs` are spoken to with TLS and verified, all others in cleartext. A member that answers but refuses the question
 * (auth, an old etcd) counts as alive.
 */
export function createEtcdProbe(tls: TlsMaterial = {}): Probe {
  return async (endpoint, signal) => {
    try {
      const { leader, isLearner } = await callEtcd(endpoint, askStatus, {}, { tls, signal });
      if (isLearner) return { t: "unreachable", error: "is a learner" };
      return leader === 0n ? { t: "unreachable", error: "has no leader" } : { t: "alive" };
    } catch (error) {
      return isAnswer(error) ? { t: "alive" } : toFailure(error, signal);
    }
  };
}
