import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Logger } from "../logging/logger.ts";

const execute = promisify(execFile);

/** States of sd_notify(3) that a service sends. */
export type InitState = "READY=1" | "STOPPING=1";

/**
 * Tells systemd of a state, with the log lines of etcd. Does nothing where NOTIFY_SOCKET is not set. Goes through
 * `systemd-notify`, because Node has no datagram sockets of the Unix domain; a failure is logged and changes nothing.
 */
export async function notifyInit(
  state: InitState,
  logger: Logger,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  if (!env["NOTIFY_SOCKET"]) return;
  logger.info("notifying init daemon", { state });
  try {
    // --pid: the message must count as ours, whatever NotifyAccess= says of children.
    await execute("systemd-notify", [`--pid=${process.pid}`, state], { env: { ...env } });
    logger.info("successfully notified init daemon", { state });
  } catch (error) {
    logger.error("failed to notify systemd for readiness", { error });
  }
}
