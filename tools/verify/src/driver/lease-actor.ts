import { setTimeout as delay } from "node:timers/promises";
import type { LeaseKeepAliveResponse } from "@etcd-edge/proto";
import type { Random } from "@etcd-edge/testkit";
import { EtcdClient, lease } from "./etcd-client.ts";
import { perform } from "./perform.ts";
import type { OpenLease } from "./recorder.ts";
import type { RoundContext } from "./round-context.ts";

const answerTimeoutMs = 4_000;

/** A client that takes leases with a key each, renews them for a while, and then lets them run out or revokes them. */
export async function runLeases(context: RoundContext, client: number, random: Random): Promise<void> {
  const { options, recorder, space, traffic } = context;
  using etcd = new EtcdClient(options.target, client);
  for (let count = 0; !traffic.aborted; count++) {
    await context.whileHushed();
    const key = `${space.prefix}l${client}/${count}`;
    const record = await grant(context, etcd, client, key, random.between(2, 4)).catch(() => undefined);
    if (record === undefined) {
      await delay(100);
      continue;
    }
    const value = `${client}.l${count}`;
    const done = await perform(recorder, client, etcd, { t: "put", key, value, lease: record.id });
    if (done.t !== "answered") continue; // it may or may not hang on the lease: nothing to be said
    recorder.leases.push(record);
    await renew(context, etcd, record, random.below(4), random).catch(() => {});
    if (random.chance(25)) {
      record.revokeAskedAt = recorder.now();
      await etcd.ask(lease.leaseRevoke, { ID: record.id }).catch(() => {});
    }
  }
}

async function grant(
  { recorder }: RoundContext,
  etcd: EtcdClient,
  client: number,
  key: string,
  seconds: number,
): Promise<OpenLease> {
  const grantInvokedAt = recorder.now();
  const { ID, TTL } = await etcd.ask(lease.leaseGrant, { TTL: BigInt(seconds) });
  const grantReturnedAt = recorder.now();
  return { id: ID, client, grantInvokedAt, grantReturnedAt, ttlSeconds: Number(TTL), renewals: [], key };
}

/** Renews some times on one stream, a third of its time apart. @throws ServiceError where the stream ends */
async function renew(
  { recorder, traffic }: RoundContext,
  etcd: EtcdClient,
  record: OpenLease,
  times: number,
  random: Random,
): Promise<void> {
  if (times === 0) return;
  const stream = await etcd.open(lease.leaseKeepAlive);
  const answers: { readonly at: number; readonly ttl: number }[] = [];
  let wake: () => void = () => {};
  let failure: unknown;
  stream.on("data", ({ TTL }: LeaseKeepAliveResponse) => {
    answers.push({ at: recorder.now(), ttl: Number(TTL) });
    wake();
  });
  stream.on("error", (error: unknown) => {
    failure = error;
    wake();
  });
  try {
    for (let i = 0; i < times && !traffic.aborted; i++) {
      await delay(record.ttlSeconds * 1000 * (0.15 + 0.3 * random.fraction()));
      const sentAt = recorder.now();
      record.lastRenewalTriedAt = sentAt;
      const heard = new Promise<void>((resolve) => {
        wake = resolve;
      });
      stream.write({ ID: record.id });
      await Promise.race([heard, delay(answerTimeoutMs)]);
      const answer = answers.shift();
      if (failure !== undefined) throw failure;
      if (answer === undefined) return; // whose answer a later one is would be a guess
      record.renewals.push({ sentAt, answeredAt: answer.at, ttlSeconds: answer.ttl });
      if (answer.ttl <= 0) return;
    }
  } finally {
    stream.cancel();
  }
}
