import type { ChannelBalancer, Upstream } from "@etcd-edge/endpoints";
import { etcdErrors } from "@etcd-edge/proto";
import type { ClientState } from "../relay/client-state.ts";
import { type CallCourse, pass, type Wait } from "./call-course.ts";

/**
 * What a client asks of "the member it is connected to" goes to one member for the life of its connection, as it would
 * without a proxy: a Status, then a Defragment, then a Status again speak of the same one. Another takes its place when it
 * is no longer healthy; the header of every answer says who it was.
 */
export function createPinnedCourse(balancer: ChannelBalancer, client: ClientState): CallCourse {
  return {
    pick(tried) {
      const { pinned } = client;
      if (pinned !== undefined && balancer.isWorking(pinned) && tried?.has(pinned) !== true) return pinned;
      client.pinned = balancer.pick(tried);
      return client.pinned;
    },
  };
}

const findLeaderMs = 2_000;

/**
 * What only the leader does: goes to the one that the last look at everybody found. If that one says that it does not lead
 * any more, everybody is asked, and the new leader gets the request; a refusal like this one has changed nothing.
 */
export function createLeaderCourse(balancer: ChannelBalancer): CallCourse {
  let found: Upstream | undefined;
  let hasLooked = false;
  const look: Wait = (settle) => {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(findLeaderMs)]);
    void balancer.findLeader(signal).then((leader) => {
      found = leader;
      if (!stop.signal.aborted) settle();
    });
    return () => stop.abort();
  };
  return {
    pick: (tried) => {
      const leader = found ?? balancer.leader();
      return leader !== undefined && tried?.has(leader) !== true ? leader : balancer.pick(tried);
    },
    onEnd: ({ message }, _, isFirst) => {
      if (!isFirst || hasLooked || message !== etcdErrors.notLeader.message) return pass;
      hasLooked = true;
      return { t: "again", wait: look };
    },
  };
}
