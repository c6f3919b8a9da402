import type { ReadMembers } from "@etcd-edge/coalesce";
import type { ChannelBalancer, Upstream } from "@etcd-edge/endpoints";
import { createReadMembers as createMembers } from "@etcd-edge/watching";
import { type Admissions, kindOfRange } from "../admission/admissions.ts";

/** What travels alone takes its turn with the reads that are not shared; what travels together is few anyway. */
export function createReadMembers(balancer: ChannelBalancer, admissions: Admissions): ReadMembers<Upstream> {
  const members = createMembers(balancer);
  return {
    ...members,
    send(upstream, read, onEnd) {
      if (!read.isLone) return members.send(upstream, read, onEnd);
      const work = kindOfRange(read.request);
      const admission = admissions.of(work);
      if (admission === undefined) return members.send(upstream, read, onEnd);
      let giveUp = (): void => {};
      const leave = admission.enter({
        client: read.client,
        start: () => {
          giveUp = members.send(upstream, read, (end) => {
            leave();
            onEnd(end);
          });
        },
        turnAway: (why) => {
          const failure = admissions.refusal(work, why);
          queueMicrotask(() => onEnd({ t: "refused", failure })); // not from inside `send`
        },
      });
      return () => {
        leave();
        giveUp();
      };
    },
  };
}
