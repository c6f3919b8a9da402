import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findFreePorts, startEtcdCluster, startProgram } from "@etcd-edge/testkit";
import { Channel } from "@etcd-edge/transport";
import { findChosenEtcd } from "../chosen-etcd.ts";
import { machineNotes, type Report, type Row } from "../report.ts";
import { CheckedStream } from "../soak/checked-stream.ts";
import type { Findings, WatchWish } from "../soak/checked-watch.ts";
import { EtcdHistory } from "../soak/etcd-history.ts";
import { chance, soakKeys, Trouble } from "../soak/trouble.ts";
import { summarise } from "../stats.ts";
import type { BenchOptions } from "./bench-options.ts";

const root = join(import.meta.dirname, "..", "..", "..", "..");
const streams = 120;
const connections = 8;
const tickMs = 50;
const everyTicks = { churn: 4, slow: 40, progress: 20, restart: 900, compact: 1_200, sample: 200 } as const;
const patienceMs = 60_000;

/**
 * Watches through grpc-proxy for `seconds`, with streams that come, go and stop reading, members that are killed and come
 * back, and compactions. Every event that comes is compared with etcd's own history.
 */
export async function benchWatchSoak({ seconds, etcd }: BenchOptions): Promise<Report> {
  const binary = await findChosenEtcd(etcd);
  await using cluster = await startEtcdCluster({ binary, members: 3 });
  const [port = 0, adminPort = 0] = await findFreePorts(2);
  await using proxy = startProgram(process.execPath, [
    join(root, "apps", "grpc-proxy", "src", "main.ts"),
    "start",
    `--listen-addr=127.0.0.1:${port}`,
    `--metrics-addr=http://127.0.0.1:${adminPort}`,
    `--endpoints=${cluster.endpoints.join(",")}`,
    "--advertise-client-url=",
  ]);
  await proxy.waitForLine("started gRPC proxy");
  await using history = new EtcdHistory(cluster.endpoints);
  await using trouble = new Trouble(cluster);
  await using clients = new Clients(port, history);

  const memory: number[] = [];
  const endsAt = performance.now() + seconds * 1_000;
  let restarting: Promise<void> = Promise.resolve();
  for (let tick = 0; performance.now() < endsAt; tick++) {
    await Promise.all([delay(tickMs), trouble.write()]);
    clients.tick(tick);
    if (tick % everyTicks.restart === everyTicks.restart - 1)
      restarting = restarting.then(() => trouble.restartMember());
    if (tick % everyTicks.compact === everyTicks.compact - 1)
      await trouble.compact(history.head, 20 + chance(1_500));
    if (tick % everyTicks.sample === 0) memory.push(await residentMegabytes(proxy.pid));
  }
  await restarting;
  const missing = await clients.finish();
  const { findings, opened } = clients;
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/proxy/metrics`)).text();
  return {
    suite: "watch-soak",
    rows: [
      { ...countRow("differences", findings.differences), goal: "0", met: findings.differences === 0 },
      { ...countRow("events missing at the end", missing), goal: "0", met: missing === 0 },
      countRow("events compared one by one", findings.eventsCompared),
      countRow("claims of progress checked", findings.claimsChecked),
      countRow("watches opened", opened),
      countRow("watches cancelled as compacted", findings.compacted),
      countRow("member restarts", trouble.counts.restarts),
      countRow("compactions", trouble.counts.compactions),
      countRow("transactions", trouble.counts.writes),
      ...["feeds_lost", "resumes", "spread_moves", "events_in", "events_out"].map((name) =>
        countRow(`proxy: ${name}`, metricOf(metrics, `etcd_edge_watch_${name}_total`)),
      ),
      {
        what: "memory, last quarter",
        side: "etcd-edge grpc-proxy",
        unit: "MB",
        summary: summarise(memory.slice(-memory.length / 4)),
      },
    ],
    notes: [
      `etcd ${binary.version}, three members, ${seconds} s, ${streams} streams on ${connections} connections with one to three watches each: single keys, ranges and everything, from now on, from the past, from the future, with filters and previous values.`,
      ...findings.texts,
      ...machineNotes(),
    ],
  };
}

/** All clients of the proxy. */
class Clients implements AsyncDisposable {
  readonly findings: Findings = {
    eventsCompared: 0,
    claimsChecked: 0,
    compacted: 0,
    differences: 0,
    texts: [],
  };
  opened = 0;
  readonly #history: EtcdHistory;
  readonly #channels: readonly Channel[];
  #streams: CheckedStream[] = [];

  constructor(port: number, history: EtcdHistory) {
    this.#history = history;
    this.#channels = Array.from(
      { length: connections },
      () => new Channel({ endpoint: { host: "127.0.0.1", port } }),
    );
  }

  tick(tick: number): void {
    for (const stream of this.#streams) stream.check();
    this.#streams = this.#streams.filter((stream) => !stream.isOver);
    const isFull = this.#streams.length >= streams;
    if (isFull && tick % everyTicks.churn === 0) this.#streams.splice(chance(streams), 1)[0]?.close();
    if (this.#streams.length < streams) this.#open();
    if (tick % everyTicks.progress === 0) this.#any()?.askProgress();
    if (tick % everyTicks.slow !== 0) return;
    const slow = this.#any();
    slow?.pause();
    setTimeout(() => slow?.resume(), chance(20_000)).unref();
  }

  /** Waits until everybody has everything. @returns how many events have not come */
  async finish(): Promise<number> {
    for (const stream of this.#streams) stream.resume();
    const until = performance.now() + patienceMs;
    for (;;) {
      let missing = 0;
      for (const stream of this.#streams) missing += stream.missing;
      if (missing === 0 || performance.now() > until) return missing;
      await delay(tickMs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) stream.close();
    await Promise.all(this.#channels.map((channel) => channel[Symbol.asyncDispose]()));
  }

  #any(): CheckedStream | undefined {
    return this.#streams[chance(this.#streams.length)];
  }

  #open(): void {
    const channel = this.#channels[chance(connections)];
    if (channel === undefined) return;
    const wishes = Array.from({ length: 1 + chance(3) }, () => wish(this.#history.head));
    this.opened += wishes.length;
    this.#streams.push(
      new CheckedStream(channel, wishes, { history: this.#history, findings: this.findings }),
    );
  }
}

const ranges: readonly (readonly [key: string, rangeEnd: string])[] = [
  ...soakKeys.slice(0, 6).map((key) => [key, ""] as const),
  ["soak/", "soak0"],
  ["soak/1", "soak/2"],
  ["soak/2", "\0"],
  ["\0", "\0"],
];

function wish(head: bigint): WatchWish {
  const [key, rangeEnd] = ranges[chance(ranges.length)] ?? ["soak/00", ""];
  const back = BigInt(chance(chance(3) === 0 ? 3_000 : 50));
  const past = head > back ? head - back : 1n;
  const start = chance(2) === 0 ? 0n : chance(6) === 0 ? head + BigInt(1 + chance(20)) : past;
  return {
    key,
    rangeEnd,
    start: start < 0n ? 1n : start,
    prevKv: chance(3) === 0,
    filters: ([0, 1] as const).filter(() => chance(8) === 0),
    progressNotify: chance(4) === 0,
  };
}

function countRow(what: string, count: number): Row {
  return { what, side: "etcd-edge grpc-proxy", unit: "", summary: summarise([count]) };
}

function metricOf(text: string, name: string): number {
  return Number(new RegExp(`^${name}(?:{[^}]*})? (\\S+)`, "m").exec(text)?.[1] ?? Number.NaN);
}

async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}
