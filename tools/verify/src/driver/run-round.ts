import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "@etcd-edge/testkit";
import type { History } from "../history/history.ts";
import type { Action } from "../history/operation.ts";
import { Timeline } from "../history/timeline.ts";
import { eventsOf } from "../history/watch-record.ts";
import { firstOwed, owedBetween, spokenUpTo } from "../validators/coverage.ts";
import { runCompactor } from "./compactor.ts";
import { EtcdClient } from "./etcd-client.ts";
import { KeySpace } from "./key-space.ts";
import { runLeases } from "./lease-actor.ts";
import { perform } from "./perform.ts";
import { Recorder } from "./recorder.ts";
import { ReferenceWatch } from "./reference-watch.ts";
import { giveRights } from "./rights-actor.ts";
import type { RoundContext, RoundOptions } from "./round-context.ts";
import { runTraffic } from "./traffic-actor.ts";
import { runWatches } from "./watch-actor.ts";

/** When the traffic of a round stops: whichever comes first. */
export interface RoundLimits {
  readonly durationMs: number;
  readonly operations: number;
}

/** What disturbs a round while its traffic runs. */
export type Disturb = (controls: RoundControls) => Promise<void>;

export interface RoundControls {
  readonly recorder: Recorder;
  readonly traffic: AbortSignal;
  readonly random: Random;
  /** Nobody says anything until the returned function is called. */
  hush(): () => void;
  /** Compacts at the head until the returned function is called. */
  compactEagerly(): () => void;
}

const finalTries = 60;

/**
 * One round: writes a backlog, lets the clients loose, and when their traffic is over lets everything come to rest. The
 * last writes touch every key twice, so that every watch owes something at the very end.
 */
export async function runRound(
  options: RoundOptions,
  prefix: string,
  limits: RoundLimits,
  random: Random,
  disturb: Disturb = async () => {},
  interrupt?: AbortSignal,
): Promise<History> {
  const recorder = new Recorder(prefix);
  const space = new KeySpace(prefix, options.groups, options.keysPerGroup);
  const traffic = new AbortController();
  const end = new AbortController();
  const hush = createHush();
  let eager = 0;
  let operations = 0;
  const context: RoundContext = {
    options,
    recorder,
    space,
    traffic: traffic.signal,
    end: end.signal,
    whileHushed: hush.wait,
    onOperation: () => {
      if (++operations >= limits.operations) traffic.abort();
    },
  };
  const stop = (): void => traffic.abort();
  interrupt?.addEventListener("abort", stop);
  const reference = new ReferenceWatch(context);
  const { done } = await reference.start();
  const rights = await giveRights(context, random.fork());
  await writeBacklog(context, random.fork());
  const timer = setTimeout(stop, limits.durationMs);
  const controls: RoundControls = {
    recorder,
    traffic: traffic.signal,
    random: random.fork(),
    hush: hush.begin,
    compactEagerly: () => {
      eager++;
      return () => void eager--;
    },
  };
  let next = 1;
  const many = <T>(count: number, run: (client: number, own: Random) => T): T[] =>
    Array.from({ length: count }, () => run(next++, random.fork()));
  const watches = many(options.watchStreams, (client, own) => runWatches(context, client, own));
  const actors = [
    ...many(options.clients, (client, own) => runTraffic(context, client, own)),
    ...many(options.leaseClients, (client, own) => runLeases(context, client, own)),
    rights?.run(),
    runCompactor(context, random.fork(), () => eager > 0),
    disturb(controls),
  ];
  try {
    await Promise.all(actors);
    const calmFrom = recorder.now();
    const last = await writeLast(context);
    await reference.reach(last, options.settleMs);
    await settle(recorder, options.settleMs);
    const history = recorder.toHistory(calmFrom);
    end.abort();
    await Promise.all([...watches, done]);
    return history;
  } finally {
    // Also where something could not be done, a fault for one: then nobody goes on without it.
    clearTimeout(timer);
    interrupt?.removeEventListener("abort", stop);
    traffic.abort();
    end.abort();
    await Promise.allSettled([...actors, ...watches, done]);
    await rights?.forget();
  }
}

/** Puts through all keys in turn, some at a time. */
async function writeBacklog(
  { options, recorder, space, traffic }: RoundContext,
  random: Random,
): Promise<void> {
  using etcd = new EtcdClient(options.target);
  let left = options.backlog;
  const write = async (client: number): Promise<void> => {
    while (left > 0 && !traffic.aborted) {
      const value = `0.${left--}`;
      await perform(recorder, -client, etcd, { t: "put", key: random.pick(space.keys), value, lease: 0n });
    }
  };
  await Promise.all(Array.from({ length: 32 }, (_, i) => write(i + 1)));
}

/** A put and a delete of every key. @returns the last revision */
async function writeLast({ options, recorder, space }: RoundContext): Promise<bigint> {
  using etcd = new EtcdClient(options.target);
  let last = 0n;
  for (const [index, keys] of space.groups.entries()) {
    const puts: Action = {
      t: "txn",
      compares: [],
      success: keys.map((key) => ({ t: "put", key, value: `last.${key}`, lease: 0n })),
      failure: [],
    };
    for (const action of [puts, { t: "delete", span: space.groupSpan(index) } as const]) {
      // Until it is done: a fault that has just ended may be felt for a while.
      for (let i = 0; i < finalTries; i++) {
        const outcome = await perform(recorder, 0, etcd, action);
        if (outcome.t === "answered") {
          last = outcome.revision;
          break;
        }
        await delay(500);
      }
    }
  }
  return last;
}

/** Waits until every open watch has all it owes, or the time is over: then it is `convergence` that says so. */
async function settle(recorder: Recorder, settleMs: number): Promise<void> {
  const deadline = performance.now() + settleMs;
  const timeline = new Timeline(recorder.toHistory(0).reference);
  while (performance.now() < deadline) {
    const history = recorder.toHistory(0);
    const behind = history.watches.filter((watch) => {
      if (!watch.isOpenAtEnd) return false;
      const first = firstOwed(watch);
      if (first === undefined) return true;
      const upto = spokenUpTo(watch);
      const owed = owedBetween(watch, timeline, upto >= first ? upto : first - 1n, timeline.head);
      const told = new Set(eventsOf(watch).map(({ kv }) => `${kv.modRevision} ${kv.key}`));
      return owed.some(({ kv }) => !told.has(`${kv.modRevision} ${kv.key}`));
    });
    // A client between two streams has no open watch, and will have one in a moment.
    if (behind.length === 0) return;
    await delay(250);
  }
}

/** Lets clients wait while at least one asks for silence. */
function createHush(): { wait(): Promise<void>; begin(): () => void } {
  let current: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  let holders = 0;
  return {
    wait: async () => {
      while (current !== undefined) await current.promise;
    },
    begin: () => {
      holders++;
      current ??= Promise.withResolvers<void>();
      let isHeld = true;
      return () => {
        if (!isHeld || --holders > 0) return;
        isHeld = false;
        const over = current;
        current = undefined;
        over?.resolve();
      };
    },
  };
}
