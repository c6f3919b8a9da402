import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "@etcd-edge/testkit";
import { isOfThePast, type Outcome, ofQuorum, withoutReadsBesideWrites } from "../history/operation.ts";
import type { Stored } from "../history/stored.ts";
import { chooseAction } from "./choose-action.ts";
import { EtcdClient } from "./etcd-client.ts";
import { HttpClient } from "./http-client.ts";
import { perform } from "./perform.ts";
import { httpTargetOf, type RoundContext, targetOf } from "./round-context.ts";

/** Every so many revisions there is one that everybody reads at. */
const pageRevisions = 16n;

/** A client that reads and writes, one call after the other, until the round's traffic ends. */
export async function runTraffic(context: RoundContext, client: number, random: Random): Promise<void> {
  const { recorder, space, options } = context;
  // Every third over HTTP, where there is a door for it.
  const http = client % 3 === 0 ? httpTargetOf(options, client) : undefined;
  using etcd =
    http === undefined ? new EtcdClient(targetOf(options, client), client) : new HttpClient(http, client);
  const seen = new Map<string, Stored | undefined>();
  let writes = 0;
  const newValue = (): string => `${client}.${writes++}`;
  const past = (): bigint => {
    const revision = recorder.head - (recorder.head % pageRevisions);
    return revision > recorder.from ? revision : 0n;
  };
  const pauseMs = (options.clients / options.ratePerSecond) * 1000;
  let due = performance.now();
  while (!context.traffic.aborted) {
    await context.whileHushed();
    const any = chooseAction(random, space, seen, newValue, past);
    const drawn = etcd.limitedUser === undefined ? any : withoutReadsBesideWrites(any);
    // That door goes from member to member, as is its right: what one has shown another need not know.
    const action = http === undefined ? drawn : ofQuorum(drawn);
    const outcome = await perform(recorder, client, etcd, action);
    if (!isOfThePast(action)) remember(seen, outcome);
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
