import { type EndpointTransition, endpointAddress } from "@etcd-edge/endpoints";
import { formatGoDuration, type Logger } from "@etcd-edge/runtime";

/** Writes health changes in the messages of etcd's gateway; what it has no message for goes to debug. */
export function logTransition(logger: Logger, { endpoint, from, to }: EndpointTransition): void {
  const address = endpointAddress(endpoint);
  if (to.t === "ejected") {
    const message =
      from.t === "probing"
        ? "failed to activate endpoint (stay inactive for another interval)"
        : "deactivated endpoint";
    logger.warn(message, { address, interval: formatGoDuration(to.waitMs), error: to.error });
  } else if (from.t === "probing" && to.t === "healthy") {
    logger.info("activated", { address });
  } else if (logger.isEnabled("debug")) {
    const error = "error" in to ? { error: to.error } : {};
    logger.debug("endpoint health changed", { address, from: from.t, to: to.t, ...error });
  }
}
