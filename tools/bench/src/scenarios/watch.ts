import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type EtcdCluster, findFreePorts, startEtcdCluster, startProgram } from "@etcd-edge/testkit";
import { startChild } from "../child.ts";
import { findChosenEtcd } from "../chosen-etcd.ts";
import { putMany } from "../load/put-many.ts";
import { countsThat, type WatchCounts } from "../load/watch-counts.ts";
import { cpuSeconds } from "../process-cpu.ts";
import { machineNotes, type Report, type Row } from "../report.ts";
import { summarise } from "../stats.ts";
import type { BenchOptions } from "./bench-options.ts";

const root = join(import.meta.dirname, "..", "..", "..", "..");
interface Load {
  readonly streams: number;
  readonly connections: number;
  readonly puts: number;
  /** Puts in the air together. */
  readonly writers: number;
  /** Whether etcd's own proxy is asked to do it too. */
  readonly isCompared: boolean;
}

const loads: readonly Load[] = [
  // With fewer writers the rate would be theirs: etcd answers so many puts a second, and each is a thousand events.
  { streams: 1_000, connections: 10, puts: 5_000, writers: 32, isCompared: true },
  { streams: 10_000, connections: 20, puts: 50, writers: 1, isCompared: true },
  { streams: 100_000, connections: 10, puts: 20, writers: 1, isCompared: false },
];

interface Figures {
  readonly rate: number;
  readonly cpuUs: number;
  readonly kilobytes: number;
  readonly lost: number;
  readonly writes: number;
}

/** Events of one key to very many watches: what etcd's proxy and ours make of it. */
export async function benchWatch({ rounds, etcd }: BenchOptions): Promise<Report> {
  const binary = await findChosenEtcd(etcd);
  await using cluster = await startEtcdCluster({ binary });
  const rows: Row[] = [];
  for (const load of loads) {
    const ours: Figures[] = [];
    const theirs: Figures[] = [];
    for (let round = 0; round < rounds; round++) {
      if (load.isCompared) theirs.push(await measure(cluster, load, "etcd grpc-proxy"));
      ours.push(await measure(cluster, load, "etcd-edge grpc-proxy"));
    }
    rows.push(...toRows(load, ours, theirs));
  }
  return {
    suite: "watch",
    rows,
    notes: [
      `etcd ${binary.version}, one member, ${rounds} rounds, each with proxies of its own, one after the other. One watch per stream, all on one key.`,
      "Events are counted by a process that reads messages by the lengths of their fields and does not decode them. The rate is from the first event to the last, and is no more than the writes allow.",
      "CPU is of the proxy, by /proc, per event delivered. Memory is resident memory of the idle proxy with all streams open, less what it was before.",
      ...machineNotes(),
    ],
  };
}

async function measure(cluster: EtcdCluster, load: Load, side: string): Promise<Figures> {
  const [port = 0] = await findFreePorts(1);
  const isOurs = side.startsWith("etcd-edge");
  const flags = [
    `--listen-addr=127.0.0.1:${port}`,
    `--endpoints=${cluster.endpoints[0]}`,
    "--advertise-client-url=",
  ];
  await using program = isOurs
    ? startProgram(process.execPath, [join(root, "apps", "grpc-proxy", "src", "main.ts"), "start", ...flags])
    : startProgram(cluster.binary.etcd, ["grpc-proxy", "start", ...flags]);
  await program.waitForLine("started gRPC proxy");
  // One stream first: the first of everything is not what the others cost.
  const first = startChild(join("load", "watch-worker.ts"), [String(port), "1", "1"]);
  await countsThat<Counts>(first, ({ created }) => created === 1);
  await first[Symbol.asyncDispose]();
  const before = await residentBytes(program.pid);
  await using worker = startChild(join("load", "watch-worker.ts"), [
    String(port),
    String(load.connections),
    String(load.streams),
  ]);
  const { refused } = await countsThat<Counts>(worker, ({ created }) => created === load.streams);
  if (refused > 0) throw new Error(`${refused} creates were refused: is the machine busy with other things?`);
  await delay(1_000);
  const idle = await residentBytes(program.pid);
  const cpuBefore = await cpuSeconds(program.pid);
  const started = performance.now();
  await putMany(cluster, load);
  const writes = load.puts / ((performance.now() - started) / 1000);
  const expected = load.streams * load.puts;
  const counts = await countsThat<Counts>(worker, ({ events }) => events >= expected, 30_000);
  const seconds = Math.max(0.001, (counts.lastAtMs - counts.firstAtMs) / 1000);
  return {
    rate: counts.events / seconds,
    cpuUs: (((await cpuSeconds(program.pid)) - cpuBefore) / Math.max(1, counts.events)) * 1e6,
    kilobytes: (idle - before) / 1024 / load.streams,
    lost: expected - counts.events,
    writes,
  };
}

interface Counts extends WatchCounts {
  /** Of those created. */
  readonly refused: number;
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

/** Goals of design.md, section 8. */
function toRows(load: Load, ours: readonly Figures[], theirs: readonly Figures[]): Row[] {
  const what = `${load.streams.toLocaleString("en-US")} streams on ${load.connections} connections`;
  const isWide = load.streams >= 10_000;
  const median = (side: readonly Figures[], figure: keyof Figures): number =>
    summarise(side.map((one) => one[figure])).median;
  const share = isWide ? 20 : 8;
  const goals: { readonly [F in keyof Figures]?: { readonly text: string; readonly met: boolean } } = {
    rate: load.isCompared
      ? { text: "≥ 4 × etcd's proxy", met: median(ours, "rate") >= 4 * median(theirs, "rate") }
      : { text: "≥ 500,000/s", met: median(ours, "rate") >= 500_000 },
    ...(load.isCompared
      ? {
          cpuUs: {
            text: `≤ 1/${share} of etcd's proxy`,
            met: median(ours, "cpuUs") <= median(theirs, "cpuUs") / share,
          },
        }
      : {}),
    kilobytes: { text: "≤ 2 KB", met: median(ours, "kilobytes") <= 2 },
    lost: { text: "0", met: ours.every(({ lost }) => lost === 0) },
  };
  const titles = {
    rate: ["events per second", "/s"],
    cpuUs: ["CPU per event", "µs"],
    kilobytes: ["memory per idle stream", "KB"],
    lost: ["events lost", ""],
    writes: ["writes per second meanwhile", "/s"],
  } as const;
  return (Object.keys(titles) as (keyof Figures)[]).flatMap((figure) =>
    [
      { side: "etcd grpc-proxy", figures: theirs },
      { side: "etcd-edge grpc-proxy", figures: ours },
    ]
      .filter(({ figures }) => figures.length > 0)
      .map(({ side, figures }): Row => {
        const [title, unit] = titles[figure];
        const goal = side === "etcd-edge grpc-proxy" ? goals[figure] : undefined;
        const summary = summarise(figures.map((one) => one[figure]));
        const row = { what: `${what}: ${title}`, side, unit, summary };
        return goal === undefined ? row : { ...row, goal: goal.text, met: goal.met };
      }),
  );
}
