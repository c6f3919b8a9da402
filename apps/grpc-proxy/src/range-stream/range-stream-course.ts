import type { RawMetadata } from "@etcd-edge/transport";
import { type CallCourse, pass } from "../course/call-course.ts";
import type { ClientsCall } from "../relay/client-state.ts";
import { emulateRangeStream, type PageCall } from "./emulated-range-stream.ts";
import { lacksRangeStream } from "./range-pages.ts";

/**
 * RangeStream goes to etcd as it is; a member that does not know it (before 3.7, or etcd's own proxy) is asked page by
 * page. `inner` is what else the call wants, and `share` answers pages that others
 * may want too.
 */
export function createRangeStreamCourse(
  call: ClientsCall,
  metadata: RawMetadata,
  inner: CallCourse | undefined,
  share: PageCall["share"],
): CallCourse {
  return {
    ...inner,
    onEnd(outcome, upstream, isFirst) {
      if (!isFirst || !lacksRangeStream(outcome)) return inner?.onEnd?.(outcome, upstream, isFirst) ?? pass;
      const { deadlineAt } = call;
      return {
        t: "takeOver",
        start: (request, out) => emulateRangeStream(request, { upstream, metadata, deadlineAt, share }, out),
      };
    },
  };
}
