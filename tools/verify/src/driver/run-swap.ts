import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "@etcd-edge/testkit";
import type { SwapAnswer, SwapRecord } from "../history/swap-record.ts";
import type { WatchRequest } from "../history/watch-record.ts";
import type { Stack } from "../stack/start-stack.ts";
import { toBytes, toRange } from "./convert.ts";
import { EtcdClient, type EtcdClientOptions, kv } from "./etcd-client.ts";
import { callsOver } from "./grpc-watch.ts";
import { KeySpace } from "./key-space.ts";
import { type OpenWatch, Recorder } from "./recorder.ts";
import { WatchStream } from "./watch-stream.ts";

const mark = "new.";
const createTimeoutMs = 10_000;
const askTimeoutMs = 2_000;
/** A door may wait for 30 s before it believes that the cluster is gone, and then needs a moment to say so. */
const patienceMs = 90_000;

/** How many clients watch, and as many read. */
const clients = 6;

/**
 * One cluster takes the place of another behind a door whose clients watch and read all the while; ends when all have
 * been told, or when that has taken too long. Both clusters hold the same keys, with different values.
 */
export async function runSwap(stack: Stack, prefix: string, random: Random): Promise<SwapRecord> {
  const recorder = new Recorder(prefix);
  const space = new KeySpace(prefix, 2, 2);
  await using undo = new AsyncDisposableStack();
  const before = await fill(stack.reference, space, "old.", 1);
  const answers: SwapAnswer[] = [];
  const reading = new AbortController();
  const readers = Array.from({ length: clients }, (_, client) =>
    read(stack.target, client, space, reading.signal, (clusterId) =>
      answers.push({ client, at: recorder.now(), clusterId }),
    ),
  );
  undo.defer(async () => {
    reading.abort();
    await Promise.all(readers);
  });

  const old = await watchAll(stack.target, recorder, space, random, undo);
  await until(async () => {
    await fill(stack.reference, space, "old.", 1);
    return old.every(isTold);
  });
  // Ahead of the other at times, at times behind it.
  let after = 0n;
  await stack.swapCluster(async (next) => {
    after = await fill(next, space, mark, random.pick([1, 60, 400]));
  });
  const swappedAt = recorder.now();

  const isAnswered = (client: number): boolean =>
    answers.some((answer) => answer.client === client && answer.clusterId === after);
  await until(async () => {
    await fill(stack.reference, space, mark, 1);
    return old.every((watch) => !watch.isOpen) && readers.every((_, client) => isAnswered(client));
  });
  const fresh = await watchAll(stack.target, recorder, space, random, undo);
  await until(async () => {
    await fill(stack.reference, space, mark, 1);
    return fresh.every(isTold);
  });
  return { history: recorder.toHistory(swappedAt), swappedAt, before, after, mark, answers };
}

const isTold = (watch: OpenWatch): boolean => !watch.isOpen || watch.messages.some(({ t }) => t === "events");

/** Until it is so, or the time is over: what is not so by then is for the judge to say. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await isSo().catch(() => false)) && performance.now() < deadline) await delay(100);
}

/** Puts all keys so many times, at etcd itself. @returns the id of its cluster */
async function fill(etcd: EtcdClientOptions, space: KeySpace, start: string, times: number): Promise<bigint> {
  using client = new EtcdClient(etcd);
  let clusterId = 0n;
  for (let i = 0; i < times; i++) {
    for (const key of space.keys) {
      const { header } = await client.ask(kv.put, { key: toBytes(key), value: toBytes(`${start}${i}`) });
      clusterId = header?.clusterId ?? 0n;
    }
  }
  return clusterId;
}

/** Reads one key after the other, half of the clients serializably. */
async function read(
  target: EtcdClientOptions,
  client: number,
  space: KeySpace,
  signal: AbortSignal,
  onAnswer: (clusterId: bigint) => void,
): Promise<void> {
  using etcd = new EtcdClient(target, client);
  while (!signal.aborted) {
    for (const key of space.keys) {
      const request = { ...toRange({ key }), serializable: client % 2 === 1 };
      await etcd.ask(kv.range, request, askTimeoutMs).then(
        ({ header }) => onAnswer(header?.clusterId ?? 0n),
        () => {}, // nobody answers for a while: that is the point
      );
      await delay(50);
    }
  }
}

/** A watch for each client, of many kinds, on streams of their own that stay until the end. */
async function watchAll(
  target: EtcdClientOptions,
  recorder: Recorder,
  space: KeySpace,
  random: Random,
  undo: AsyncDisposableStack,
): Promise<readonly OpenWatch[]> {
  return await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const etcd = undo.use(new EtcdClient(target, client));
      const request: WatchRequest = {
        span: client === 0 ? { key: space.keys[0] ?? "" } : random.pick([space.whole, space.groupSpan(0)]),
        startRevision: 0n,
        prevKv: random.chance(50),
        noPut: false,
        noDelete: random.chance(20),
        progressNotify: random.chance(50),
        fragment: random.chance(30),
      };
      const open = recorder.watch(client, client, request);
      const stream = await WatchStream.open(recorder, callsOver(etcd));
      undo.defer(() => stream.leaveOpen());
      await stream.create(open, createTimeoutMs);
      return open;
    }),
  );
}
