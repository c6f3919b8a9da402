import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "@etcd-edge/testkit";
import { EtcdClient, kv } from "./etcd-client.ts";
import type { RoundContext } from "./round-context.ts";

/** Compacts now and then, a random way behind the head; `eagerly` right at the head and all the time. */
export async function runCompactor(
  context: RoundContext,
  random: Random,
  isEager: () => boolean,
): Promise<void> {
  const { options, recorder, traffic } = context;
  if (options.compactEveryMs === 0) return;
  using etcd = new EtcdClient(options.target);
  while (!traffic.aborted) {
    await delay(isEager() ? 100 : options.compactEveryMs * (0.5 + random.fraction()));
    const known = Number(recorder.head - recorder.from);
    const back = isEager() ? random.below(3) : random.between(20, 400);
    if (known <= back) continue;
    const revision = recorder.head - BigInt(back);
    recorder.compactions.push({ askedAt: recorder.now(), revision });
    await etcd.ask(kv.compact, { revision }).catch(() => {}); // compacted already, or disturbed
  }
}
