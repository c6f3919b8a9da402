import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "@etcd-edge/testkit";
import type { Outcome } from "../history/operation.ts";
import type { Stored } from "../history/stored.ts";
import { chooseAction } from "./choose-action.ts";
import { EtcdClient } from "./etcd-client.ts";
import { perform } from "./perform.ts";
import { type RoundContext, targetOf } from "./round-context.ts";

/** A client that reads and writes, one call after the other, until the round's traffic ends. */
export async function runTraffic(context: RoundContext, client: number, random: Random): Promise<void> {
  const { recorder, space, options } = context;
  using etcd = new EtcdClient(targetOf(options, client), client);
  const seen = new Map<string, Stored | undefined>();
  let writes = 0;
  const newValue = (): string => `${client}.${writes++}`;
  const pauseMs = (options.clients / options.ratePerSecond) * 1000;
  let due = performance.now();
  while (!context.traffic.aborted) {
    await context.whileHushed();
    const outcome = await perform(recorder, client, etcd, chooseAction(random, space, seen, newValue));
    remember(seen, outcome);
    context.onOperation();
    due = Math.max(due + pauseMs * 2 * random.fraction(), performance.now() - 1_000);
    const wait = due - performance.now();
    if (wait > 0) await delay(wait);
    else if (outcome.t !== "answered") await delay(100); // an endpoint that is gone refuses at once
  }
}

function remember(seen: Map<string, Stored | undefined>, outcome: Outcome): void {
  if (outcome.t !== "answered") return;
  const answers = outcome.answer.t === "txn" ? outcome.answer.answers : [outcome.answer];
  for (const answer of answers) {
    if (answer.t === "range") for (const kv of answer.kvs) seen.set(kv.key, kv);
  }
}
