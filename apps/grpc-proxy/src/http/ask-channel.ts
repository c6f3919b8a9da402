import { CallError, type Channel, NO_METADATA, StatusCode } from "@etcd-edge/transport";
import type { AskUpstream } from "./health.ts";

/** Asks whatever channel `pick` gives at the time; without one the answer is UNAVAILABLE. */
export function askChannel(pick: () => Channel | undefined): AskUpstream {
  return async (path, payload, timeoutMs) => {
    const channel = pick();
    if (channel === undefined) {
      return { code: StatusCode.unavailable, message: "no etcd endpoint is available" };
    }
    try {
      await channel.unaryCall(path, NO_METADATA, payload, { deadlineAt: performance.now() + timeoutMs });
      return { code: StatusCode.ok, message: "" };
    } catch (error) {
      if (error instanceof CallError) return { code: error.code, message: error.message };
      throw error;
    }
  };
}
