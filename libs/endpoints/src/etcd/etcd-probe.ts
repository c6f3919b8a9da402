import { KV, Maintenance, toGrpcJsService } from "@etcd-edge/proto";
import type { TlsMaterial } from "../health/connect.ts";
import type { Probe, ProbeResult } from "../health/probe.ts";
import { toFailure } from "../health/socket-probes.ts";
import { codeOf, withEtcd } from "./etcd-call.ts";
import { anyRead, isRefusal, objectionTo } from "./member-questions.ts";

const askStatus = toGrpcJsService(Maintenance).status;
const askRange = toGrpcJsService(KV).range;

/**
 * Asks a member for its status, and for a read from its own store: alive if it is a voting member that knows a leader, and
 * reads. Endpoints with scheme `https` or `unixs` are spoken to with TLS and verified, all others in cleartext. A member
 * that answers but refuses the question (auth, an old etcd) counts as alive.
 */
export function createEtcdProbe(tls: TlsMaterial = {}): Probe {
  return async (endpoint, signal) => {
    try {
      return await withEtcd(endpoint, { tls, signal }, async (call): Promise<ProbeResult> => {
        const objection = objectionTo(await call(askStatus, {}));
        if (objection !== undefined) return { t: "unreachable", error: objection };
        await call(askRange, anyRead);
        return { t: "alive" };
      });
    } catch (error) {
      return isRefusal(codeOf(error)) ? { t: "alive" } : toFailure(error, signal);
    }
  };
}
