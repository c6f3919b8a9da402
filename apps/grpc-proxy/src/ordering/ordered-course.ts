import type { ChannelBalancer, Upstream } from "@etcd-edge/endpoints";
import { type Rpc, readHeaderRevision, readStreamedRevision } from "@etcd-edge/proto";
import type { Clock } from "@etcd-edge/runtime";
import { StatusCode } from "@etcd-edge/transport";
import { atOnce, type CallCourse, pass, type Verdict } from "../course/call-course.ts";
import type { ClientState } from "../relay/client-state.ts";
import { isReadOnly } from "./is-read-only.ts";
import type { RevisionFloors } from "./revision-floors.ts";

/** How often everybody is asked before the read is given up, as Go's client does it. */
const rounds = 5;
/** Pause before the second round; doubles. A follower that lags catches up within milliseconds, or not at all. */
const firstPauseMs = 10;

/** Text of Go's client, and the code that its proxy gives it. */
const noGreaterRevision = {
  code: StatusCode.unknown,
  message: "etcdclient: no cluster members have a revision higher than the previously received revision",
};

export interface OrderedCourseOptions {
  readonly rpc: Rpc;
  readonly balancer: ChannelBalancer;
  readonly clock: Clock;
  readonly floors: RevisionFloors;
  readonly client: ClientState;
  readonly token: string | undefined;
}

/**
 * `--experimental-serializable-ordering`: no answer below the highest revision that its client had seen when it asked. A
 * read that a lagging member answers from the past goes to the others; when none of them is far enough, round after
 * round, the client is told so. What is not a read is shown as it is, and counts.
 */
export function createOrderedCourse(options: OrderedCourseOptions): CallCourse {
  const { rpc, balancer, clock, floors, client, token } = options;
  const readRevision =
    rpc.path === "/etcdserverpb.KV/RangeStream" ? readStreamedRevision : readHeaderRevision;
  const behind = new Set<Upstream>();
  let floor = 0n;
  let sent: Uint8Array = new Uint8Array(0);
  let round = 1;

  const elsewhere = (): Verdict => {
    if (balancer.upstreams().some((one) => balancer.isWorking(one) && !behind.has(one)))
      return { t: "again", wait: atOnce };
    if (round >= rounds) return { t: "refuse", refusal: noGreaterRevision };
    const pauseMs = firstPauseMs * 2 ** (round - 1);
    round++;
    behind.clear();
    return {
      t: "again",
      wait: (settle) => {
        const timer = clock.setTimer(pauseMs, settle);
        return () => timer.stop();
      },
    };
  };

  return {
    pick: (tried) => balancer.pick(tried === undefined ? behind : new Set([...tried, ...behind])),
    onSend(request) {
      sent = request;
      floor = floors.of(client, token);
    },
    judge(answer, upstream, isFirst) {
      const revision = readRevision(answer);
      if (revision >= floor) {
        floors.raise(client, token, revision);
        return pass;
      }
      if (revision === 0n || !isReadOnly(rpc.path, sent)) return pass; // no header, or not to be done twice
      if (!isFirst) return { t: "refuse", refusal: noGreaterRevision };
      behind.add(upstream);
      return elsewhere();
    },
  };
}
