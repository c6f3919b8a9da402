import { create, type RangeRequest, RangeRequestSchema, type StatusResponse } from "@etcd-edge/proto";
import { StatusCode } from "@etcd-edge/transport";

/**
 * The read that a look at a member makes: of its own store, because a status comes from memory, also where the disk or
 * the store behind it has stopped. No key is this one: it costs nothing but the look.
 */
export const anyRead: RangeRequest = create(RangeRequestSchema, {
  key: Uint8Array.of(0),
  serializable: true,
  countOnly: true,
});

/** Why a member that tells this of itself must not be asked anything else, if it must not. */
export function objectionTo({
  leader,
  isLearner,
}: Pick<StatusResponse, "leader" | "isLearner">): string | undefined {
  if (isLearner) return "is a learner";
  return leader === 0n ? "has no leader" : undefined;
}

/**
 * Codes that only a server with a working etcd behind it gives. With auth on, questions without a user are refused
 * (`user name is empty`, permission denied): who refuses has looked into its store of users, and is as alive as one who
 * answers. `resourceExhausted` is a proxy with too much to do: taking it out would only give the others more.
 */
const refusals: ReadonlySet<number> = new Set([
  StatusCode.unauthenticated,
  StatusCode.permissionDenied,
  StatusCode.unimplemented,
  StatusCode.invalidArgument,
  StatusCode.resourceExhausted,
]);

/** True for the status code of an answer that came from a member that works: only the answer was no. */
export function isRefusal(code: unknown): boolean {
  return typeof code === "number" && refusals.has(code);
}
