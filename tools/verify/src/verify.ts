import { readFile } from "node:fs/promises";
import { findEtcdBinaries, Random } from "@etcd-edge/testkit";
import { checkHistory } from "./check-history.ts";
import type { EtcdClientOptions } from "./driver/etcd-client.ts";
import type { RoundOptions } from "./driver/round-context.ts";
import { type Disturb, runRound } from "./driver/run-round.ts";
import { runSwap } from "./driver/run-swap.ts";
import { disturbWith, type FaultName, faults, isFault } from "./faults/faults.ts";
import type { VerifyConfig } from "./options.ts";
import {
  type RoundReport,
  type RunReport,
  type SwapReport,
  summariseRound,
  summariseSwap,
} from "./report/run-report.ts";
import { ViolationFiles, writeLogs, writeReport } from "./report/write-report.ts";
import { isDoor } from "./stack/door.ts";
import { type Stack, startStack } from "./stack/start-stack.ts";
import { checkOneHistory } from "./validators/one-history.ts";
import { promises } from "./validators/violation.ts";

/** Calm between two faults. */
const faultPauseMs = [300, 2_000] as const;
/** A swap takes the better part of a minute where a door waits before it believes in another cluster. */
const roundsPerSwap = 6;

/** Told how it goes on, a line at a time. */
type Say = (line: string) => void;

/**
 * A whole run: rounds of traffic, each judged by itself, until the time is over, and the report of it, written to
 * `config.out` as well.
 *
 * @param interrupt ends the traffic; what there is by then is judged
 * @throws Error where there is no such etcd, or a stack does not start
 */
export async function verify(config: VerifyConfig, say: Say, interrupt: AbortSignal): Promise<RunReport> {
  const seed = config.seed === 0 ? Date.now() % 2 ** 32 : config.seed;
  const random = new Random(seed);
  await using undo = new AsyncDisposableStack();
  const stack = config.start === "" ? undefined : undo.use(await startOwn(config, random.fork()));
  const { names, notes } = chooseFaults(config, stack);
  const done: Partial<Record<FaultName, number>> = {};
  const disturb: Disturb | undefined =
    stack &&
    disturbWith(stack, names, faultPauseMs, (name) => {
      done[name] = (done[name] ?? 0) + 1;
    });
  const files = new ViolationFiles(config.out);
  await files.prepare();
  const startedAt = new Date().toISOString();
  const rounds: RoundReport[] = [];
  const swaps: SwapReport[] = [];
  const report = (): RunReport => ({
    what: describe(config, stack),
    seed,
    startedAt,
    faults: done,
    notes,
    allowed: promises.filter((one) => config.allow.includes(one)),
    rounds,
    swaps,
  });
  say(`seed ${seed}: ${report().what}`);
  for (let left = config.duration; left > 0 && !interrupt.aborted; left -= config.round) {
    const limits = { durationMs: Math.min(left, config.round), operations: Number.POSITIVE_INFINITY };
    const prefix = `${config.prefix}${seed.toString(36)}.${rounds.length}.${Date.now().toString(36)}/`;
    const options = await roundOptions(config, stack);
    const history = await runRound(options, prefix, limits, random.fork(), disturb, interrupt);
    const findings = checkHistory(history);
    await files.add(history, findings.violations);
    const round = summariseRound(history, findings);
    rounds.push(round);
    await writeReport(config.out, report());
    const broken = new Set(round.violations.map((one) => one.promise));
    if (broken.size > 0 && stack !== undefined) await writeLogs(config.out, `round-${rounds.length}`, stack);
    say(
      `round ${rounds.length}: ${round.operations.answered} operations, ${round.watches.made} watches, ${round.events} events; ${broken.size === 0 ? "all kept" : `BROKEN: ${[...broken].join(", ")}`}`,
    );
    if (stack === undefined || !names.includes("cluster-swap") || rounds.length % roundsPerSwap !== 1)
      continue;
    const swap = await runSwap(stack, `${prefix}swap/`, random.fork());
    const found = checkOneHistory(swap);
    await files.add(swap.history, found);
    swaps.push(summariseSwap(swap, found));
    done["cluster-swap"] = swaps.length;
    await writeReport(config.out, report());
    if (found.length > 0) await writeLogs(config.out, `swap-${swaps.length}`, stack);
    say(
      `another cluster behind the same addresses: ${found.length === 0 ? "all kept" : "BROKEN: one history"}`,
    );
  }
  return report();
}

async function startOwn(config: VerifyConfig, random: Random): Promise<Stack> {
  const binaries = await findEtcdBinaries();
  const binary = config.etcd === "" ? binaries.at(-1) : binaries.find((one) => one.version === config.etcd);
  if (binary === undefined) {
    const there = binaries.map((one) => one.version).join(", ") || "none";
    throw new Error(`no etcd ${config.etcd} is installed; there is ${there}`);
  }
  if (!isDoor(config.start)) throw new Error(`no door ${config.start}`);
  const members = config.members === 1 ? 1 : 3;
  const tokenTtlSeconds = Math.ceil(config.tokenTtl / 1000);
  const {
    replicas,
    httpReplicas,
    tls,
    nats: hasNats,
    redis: hasRedis,
    limitedUsers,
    serviceUser: hasServiceUser,
  } = config;
  const users = { tokenTtlSeconds, limitedUsers, hasServiceUser };
  return await startStack(
    { door: config.start, binary, members, replicas, tls, hasNats, hasRedis, httpReplicas, ...users },
    random,
  );
}

/** The faults that were asked for and can be had; for `all` what cannot is left out, by name it is a note. */
function chooseFaults(
  config: VerifyConfig,
  stack: Stack | undefined,
): { readonly names: readonly FaultName[]; readonly notes: readonly string[] } {
  const wanted = config.faults.includes("all")
    ? Object.keys(faults).filter(isFault)
    : config.faults.filter(isFault);
  const names: FaultName[] = [];
  const notes: string[] = [];
  for (const name of wanted) {
    const fault = faults[name];
    const why = stack !== undefined && "impossible" in fault ? fault.impossible(stack) : undefined;
    if (why === undefined) names.push(name);
    else notes.push(`no ${name}: ${why}`);
  }
  return { names, notes };
}

async function roundOptions(config: VerifyConfig, stack: Stack | undefined): Promise<RoundOptions> {
  const [name = "", ...password] = config.user.split(":");
  const common: Omit<EtcdClientOptions, "endpoints"> = {
    ...(config.cacert === "" ? {} : { ca: await readFile(config.cacert) }),
    ...(config.user === "" ? {} : { user: { name, password: password.join(":") } }),
  };
  const reference = config.reference.length > 0 ? config.reference : config.endpoints;
  const { httpEndpoints } = config;
  const http = httpEndpoints.length === 0 ? stack?.httpTarget : { endpoints: httpEndpoints, ...common };
  return {
    target: stack?.target ?? { endpoints: config.endpoints, ...common },
    ...(http && { http }),
    reference: stack?.reference ?? { endpoints: reference, ...common },
    ratePerSecond: config.rate,
    clients: config.clients,
    ...(stack?.limited && { limited: stack.limited }),
    watchStreams: config.watchStreams,
    leaseClients: 2,
    backlog: config.backlog,
    groups: 4,
    keysPerGroup: 4,
    compactEveryMs: config.compactEvery,
    settleMs: 40_000,
  };
}

function describe(config: VerifyConfig, stack: Stack | undefined): string {
  if (stack === undefined) return [...config.endpoints, ...config.httpEndpoints].join(",");
  const { door, replicas, members, tls, tokenTtlSeconds, binary } = stack.options;
  const parts = [
    `${door}${door === "direct" ? "" : ` × ${replicas}`}`,
    ...(stack.http.length === 0 ? [] : [`http-gateway × ${stack.http.length}`]),
    `etcd ${binary.version} × ${members}`,
    ...(tls ? ["TLS"] : []),
    ...(stack.nats === undefined ? [] : ["NATS"]),
    ...(stack.redis === undefined ? [] : ["Redis"]),
    ...(tokenTtlSeconds > 0 ? [`users, tokens of ${tokenTtlSeconds} s`] : []),
    ...(tokenTtlSeconds > 0 && stack.options.hasServiceUser ? ["shared under one of its own"] : []),
  ];
  return parts.join(", ");
}
