import { CompactionRequestSchema, fromBinary } from "@etcd-edge/proto";
import { type CallCourse, pass } from "../course/call-course.ts";

/** A compaction that etcd has done: what is below its revision is not answered from memory any more. */
export function createCompactionCourse(onCompacted: (revision: bigint) => void): CallCourse {
  let revision = 0n;
  return {
    onSend(request) {
      revision = fromBinary(CompactionRequestSchema, request).revision;
    },
    judge() {
      onCompacted(revision);
      return pass;
    },
  };
}
