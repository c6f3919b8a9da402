import { etcdErrors } from "@etcd-edge/proto";
import type { ReadFailure } from "../read/ports.ts";
import { ProbeError } from "../watch/probe-flight.ts";
import { isRefusal } from "../watch/probe-refusal.ts";

/** Whether etcd has said it of who asked, not of what was asked. */
export function isOfIdentity({ code, message }: ReadFailure): boolean {
  return message === etcdErrors.authOldRevision.message || isRefusal(new ProbeError(code, message));
}
