import type { LeaseBook } from "@etcd-edge/coalesce";
import { fromBinary, LeaseRevokeRequestSchema } from "@etcd-edge/proto";
import { type CallCourse, pass } from "../course/call-course.ts";

/**
 * A lease that is revoked through this replica leaves the book before the request goes out, and again when it is answered:
 * a renewal may have been answered in between (rule 12).
 */
export function createRevokeCourse(book: LeaseBook): CallCourse {
  let leaseId: bigint | undefined;
  const forget = (): void => {
    if (leaseId !== undefined) book.forget(leaseId);
  };
  return {
    onSend(request) {
      leaseId = leaseOf(request);
      forget();
    },
    judge() {
      forget();
      return pass;
    },
    onEnd() {
      forget();
      return pass;
    },
  };
}

function leaseOf(request: Uint8Array): bigint | undefined {
  try {
    return fromBinary(LeaseRevokeRequestSchema, request).ID;
  } catch {
    return undefined; // etcd will say what is wrong with it
  }
}
