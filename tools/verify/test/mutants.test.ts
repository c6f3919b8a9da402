import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type EtcdCluster, findEtcdBinaries, Random, startEtcdCluster } from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkHistory } from "../src/check-history.ts";
import type { RoundOptions } from "../src/driver/round-context.ts";
import { type Disturb, runRound } from "../src/driver/run-round.ts";
import { Timeline } from "../src/history/timeline.ts";
import { type Stack, startStack } from "../src/stack/start-stack.ts";
import { checkAcknowledged } from "../src/validators/acknowledged.ts";
import { checkBookmarkable } from "../src/validators/bookmarkable.ts";
import { checkPermitted } from "../src/validators/permitted.ts";
import { checkReliable } from "../src/validators/reliable.ts";
import type { PromiseName } from "../src/validators/violation.ts";
import { type Mutant, mutants } from "./mutants/mutants.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const hook = join(import.meta.dirname, "mutants", "mutant-hook.ts");
const binaries = await findEtcdBinaries();
/** One whose progress is coverage, so that all of the watch code is at work. */
const binary = binaries.find((one) => one.version.startsWith("3.5.")) ?? binaries.at(-1);
const roundOperations = 400;
/**
 * Replicas need a moment until they follow each other, and where an ingester is too busy to answer they go to etcd instead and
 * stay there for a while: traffic that leaves a busy machine some time, in rounds of eight seconds at least, each of which has
 * ranges of its own, about which they agree anew.
 */
const fabricTraffic = { ratePerSecond: 100, backlog: 200 } as const;
const fabricRoundOperations = 800;
/** Of few keys, so that many ask for the same. */
const besideTraffic = { ratePerSecond: 200, backlog: 200, groups: 1 } as const;
/** Some of what users do is to be refused, and rights come and go by the second. */
const usersTraffic = { ratePerSecond: 150, backlog: 200, groups: 3 } as const;

/** What replicas have to find out who lives on whom, before frames are lost. */
const joinMs = 2_000;

/** Between two blows, or two looks: no longer than there is traffic. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  delay(ms, undefined, { signal }).catch(() => {});

/** Resets every connection between the proxy and etcd, again and again. */
const cutUpstream =
  (stack: Stack): Disturb =>
  async ({ traffic, recorder }) => {
    while (!traffic.aborted) {
      const over = recorder.disturb();
      for (const relay of stack.innerRelays) relay.cut();
      over();
      await pause(250, traffic);
    }
  };

/** One member answers later than the others, for as long as it takes. */
function makeLag({ innerRelays: [first] }: Stack): void {
  first?.setWeather({ delayMs: [2, 15] });
}

type Needs = Pick<Mutant, "needsFabric" | "needsLag" | "needsUsers" | "needsBeside">;

function trafficFor({ needsFabric, needsUsers, needsBeside }: Needs): Partial<RoundOptions> {
  if (needsUsers !== undefined) return usersTraffic;
  if (needsBeside !== undefined) return besideTraffic;
  return needsFabric === undefined ? {} : fabricTraffic;
}

/** Where something needs a moment to come about all of it is one round, which ends as soon as it has shown what it was to show. */
function roundOperationsOf({ needsFabric, needsUsers, needsBeside }: Needs, all: number): number {
  if (needsUsers !== undefined || needsBeside !== undefined) return all;
  return needsFabric === undefined ? roundOperations : fabricRoundOperations;
}

function roundOptions({ target, reference, limited, httpTarget }: Stack, settleMs: number): RoundOptions {
  return {
    target,
    reference,
    ...(limited && { limited }),
    ...(httpTarget && { http: httpTarget }),
    ratePerSecond: 800,
    clients: 8,
    watchStreams: 12,
    leaseClients: 0,
    backlog: 1_200,
    groups: 2,
    keysPerGroup: 3,
    compactEveryMs: 0,
    settleMs,
  };
}

describe("verify is able to fail", () => {
  let cluster: EtcdCluster;
  const random = new Random(20_261_124);

  beforeAll(async () => {
    if (binary === undefined) throw new Error("no etcd is installed");
    cluster = await startEtcdCluster({ binary });
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  /**
   * Two replicas that share what they watch, of which each follows the other in some of the ranges. Of every range the third
   * frame is lost, and the sixth: who lives on frames and has got four has had a gap. Not before they live on them: one who
   * comes and hears too little goes to etcd instead, and stays there.
   */
  const loseFrames =
    ({ nats }: Stack): Disturb =>
    async ({ traffic }) => {
      await pause(joinMs, traffic);
      nats?.relay.setWeather({ dropEvery: 3, reorderPercent: 5 });
      if (!traffic.aborted) await once(traffic, "abort");
      nats?.relay.setWeather({});
    };

  /** Looks at what there is twice a second, so that a round need not go on when it has shown what it was to show. */
  const untilBroken =
    (promise: PromiseName, onBroken: () => void): Disturb =>
    async ({ traffic, recorder }) => {
      while (!traffic.aborted) {
        const history = recorder.toHistory(0);
        const timeline = new Timeline(history.reference);
        const broken = [
          ...checkReliable(history, timeline),
          ...checkPermitted(history),
          ...checkBookmarkable(history),
          ...checkAcknowledged(history, timeline),
        ];
        if (broken.some((one) => one.promise === promise)) onBroken();
        await pause(500, traffic);
      }
    };

  const together =
    (...all: readonly Disturb[]): Disturb =>
    async (controls) =>
      void (await Promise.all(all.map((one) => one(controls))));

  /** grpc-proxy in front of the cluster, with one of the mutants in it. */
  async function startProxy(mutant?: string, needs: Needs = {}): Promise<Stack> {
    const { needsFabric, needsLag, needsUsers, needsBeside } = needs;
    const node =
      mutant === undefined ? {} : { node: { args: ["--import", hook], env: { VERIFY_MUTANT: mutant } } };
    const users = {
      tokenTtlSeconds: needsUsers === undefined ? 0 : 60,
      limitedUsers: 3,
      hasServiceUser: needsUsers === "together",
    };
    const members = needsLag === true ? 3 : 1;
    const hasNats = needsFabric !== undefined;
    const hasRedis = needsBeside === "redis";
    const running = members === 1 && needsUsers === undefined ? { cluster } : {};
    const common = {
      door: "grpc-proxy",
      members,
      replicas: hasNats || hasRedis ? 2 : 1,
      hasNats,
      hasRedis,
      httpReplicas: needsBeside === "http-gateway" ? 1 : 0,
      tls: false,
    } as const;
    return await startStack(
      { ...common, ...users, binary: cluster.binary, ...running, ...node },
      random.fork(),
    );
  }

  it("and finds nothing where nothing is wrong", async () => {
    await using stack = await startProxy();
    const limits = { operations: 1_000, durationMs: 120_000 };
    const options = roundOptions(stack, 40_000);
    const history = await runRound(options, "none/", limits, random.fork(), cutUpstream(stack));
    const { violations, search } = checkHistory(history);
    expect(violations.map((one) => [one.text, ...one.evidence].join("\n"))).toEqual([]);
    expect(search.gaveUp).toEqual([]);
    expect(search.calls).toBeGreaterThan(1_000);
  });

  it("and ends with the reason where a fault cannot be carried out", async () => {
    await using stack = await startProxy();
    const limits = { operations: 100_000, durationMs: 60_000 };
    const broken = (): Promise<void> => Promise.reject(new Error("the relay is gone"));
    const round = runRound(roundOptions(stack, 1_000), "broken/", limits, random.fork(), broken);
    await expect(round).rejects.toThrow("the relay is gone");
  });

  it("and finds nothing where replicas share what they watch and frames get lost", async () => {
    await using stack = await startProxy(undefined, { needsFabric: "lossy" });
    const limits = { operations: 1_000, durationMs: 120_000 };
    const options = { ...roundOptions(stack, 40_000), ...fabricTraffic };
    const history = await runRound(options, "fabric/", limits, random.fork(), loseFrames(stack));
    const { violations } = checkHistory(history);
    expect(stack.nats?.relay.lost).toBeGreaterThan(0);
    expect(violations.map((one) => [one.text, ...one.evidence].join("\n"))).toEqual([]);
  });

  it.each(Object.entries(mutants))(
    "%s is caught",
    async (name, { caughtBy, operations, needsCuts, ...needs }) => {
      await using undo = new AsyncDisposableStack();
      const start = async (): Promise<Stack> => undo.use(await startProxy(name, needs));
      let stack = await start();
      if (needs.needsLag === true) makeLag(stack);
      const perRound = roundOperationsOf(needs, operations);
      const isSlow = perRound !== roundOperations;
      const found = new Set<PromiseName>();
      for (let done = 0; done < operations && !found.has(caughtBy); done += perRound) {
        // Replicas that have not come to live on each other may not do so in the next round either.
        if (done > 0 && needs.needsFabric !== undefined) stack = await start();
        // A mutant's watches need not come to rest.
        const options = { ...roundOptions(stack, 500), ...trafficFor(needs) };
        const limits = { operations: perRound, durationMs: 60_000 };
        const caught = new AbortController();
        const disturb = together(
          ...(needsCuts ? [cutUpstream(stack)] : []),
          ...(needs.needsFabric === "lossy" ? [loseFrames(stack)] : []),
          ...(isSlow ? [untilBroken(caughtBy, () => caught.abort())] : []),
        );
        const prefix = `${name}/${done}/`;
        const history = await runRound(options, prefix, limits, random.fork(), disturb, caught.signal);
        for (const { promise } of checkHistory(history).violations) found.add(promise);
      }
      expect([...found]).toContain(caughtBy);
    },
  );

  it.each(Object.entries(mutants))("%s still has its place in the code", async (_, { file, find }) => {
    expect((await readFile(join(root, file), "utf8")).split(find)).toHaveLength(2);
  });
});
