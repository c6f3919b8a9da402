import type { LeaseBook } from "@etcd-edge/coalesce";
import {
  fromBinary,
  LeaseGrantResponseSchema,
  LeaseRevokeRequestSchema,
  LeaseTimeToLiveResponseSchema,
} from "@etcd-edge/proto";
import { type CallCourse, pass } from "../course/call-course.ts";

/** Calls after which what the book knows of a lease may be wrong. */
export type LeaseChange = "grant" | "revoke" | "timeToLive";

/**
 * Keeps the lease book from contradicting what this replica itself has told its clients (rule 12).
 * - A revoked lease leaves the book before the request goes out, and again when it is answered: a renewal may have been
 *   answered in between.
 * - A lease granted under an id that was in use before has another TTL.
 * - A lease that etcd said is gone is gone.
 */
export function createForgetCourse(book: LeaseBook, change: LeaseChange): CallCourse {
  let revoked: bigint | undefined;
  const forget = (leaseId: bigint | undefined): void => {
    if (leaseId !== undefined) book.forget(leaseId);
  };
  return {
    onSend(request) {
      if (change !== "revoke") return;
      revoked = read(() => fromBinary(LeaseRevokeRequestSchema, request).ID);
      forget(revoked);
    },
    judge(answer) {
      forget(change === "revoke" ? revoked : read(() => leaseOfAnswer(change, answer)));
      return pass;
    },
    onEnd() {
      forget(revoked); // it may have been carried out, whatever the end says
      return pass;
    },
  };
}

function leaseOfAnswer(change: "grant" | "timeToLive", answer: Uint8Array): bigint | undefined {
  if (change === "grant") return fromBinary(LeaseGrantResponseSchema, answer).ID;
  const { ID, TTL } = fromBinary(LeaseTimeToLiveResponseSchema, answer);
  return TTL > 0n ? undefined : ID;
}

/** Nothing for bytes that are no such message: whoever reads them next will say what is wrong with them. */
function read(leaseId: () => bigint | undefined): bigint | undefined {
  try {
    return leaseId();
  } catch {
    return undefined;
  }
}
