import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePorts, findProgram, startProgram } from "@etcd-edge/testkit";
import { startChild } from "../child.ts";
import { findChosenEtcd } from "../chosen-etcd.ts";
import { pingPong, receiveBulk } from "../load/byte-load.ts";
import { cpuSeconds } from "../process-cpu.ts";
import { machineNotes, type Report, type Row } from "../report.ts";
import { BULK_BYTES } from "../servers/byte-source.ts";
import { type Summary, summarise } from "../stats.ts";
import type { BenchOptions } from "./bench-options.ts";

const CONNECTIONS = 20;
const GIGABYTE = 1e9;
const gatewayMain = join(
  import.meta.dirname,
  "..",
  "..",
  "..",
  "..",
  "apps",
  "tcp-gateway",
  "src",
  "main.ts",
);

interface Side {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
}

interface Figures {
  readonly bulkRate: number[];
  readonly bulkCpu: number[];
  readonly messageRate: number[];
  readonly messageCpu: number[];
}

/** What moving bytes costs: one bulk connection, and many small messages, through each TCP gateway. */
export async function benchTcp(options: BenchOptions): Promise<Report> {
  await using stack = new AsyncDisposableStack();
  const source = stack.use(startChild("servers/byte-source.ts"));
  const sides = await startSides(Number(await source.ask()), stack, options);
  const figures = new Map(
    sides.map(({ name }): [string, Figures] => [
      name,
      { bulkRate: [], bulkCpu: [], messageRate: [], messageCpu: [] },
    ]),
  );
  for (const { port } of sides) await receiveBulk(port); // warm
  for (let round = 0; round < options.rounds; round++) {
    for (const side of sides) {
      const of = figures.get(side.name);
      if (of !== undefined) await measure(side, of, options.seconds);
    }
  }
  return {
    suite: "tcp",
    rows: toRows(figures),
    notes: [
      `${options.rounds} rounds, sides alternating: ${BULK_BYTES / GIGABYTE} GB from the endpoint over one connection; then ${options.seconds} s of 128-byte messages echoed, ${CONNECTIONS} connections with one in flight each.`,
      "CPU is of the gateway's process, by /proc. Source and receiver are Node processes on the same machine and bound the rates.",
      ...machineNotes(),
    ],
  };
}

async function startSides(
  endpoint: number,
  stack: AsyncDisposableStack,
  options: BenchOptions,
): Promise<Side[]> {
  const binary = await findChosenEtcd(options.etcd);
  const [theirs = 0, ours = 0, haproxyPort = 0] = await findFreePorts(3);
  const flags = (port: number): string[] => [
    `--endpoints=127.0.0.1:${endpoint}`,
    `--listen-addr=127.0.0.1:${port}`,
  ];
  const sides: Side[] = [];
  const start = async (name: string, port: number, command: string, args: string[]): Promise<void> => {
    const program = stack.use(startProgram(command, args));
    await program.waitForLine("ready to proxy client requests");
    sides.push({ name, port, pid: program.pid });
  };
  await start(`etcd gateway`, theirs, binary.etcd, ["gateway", "start", ...flags(theirs)]);
  await start("etcd-edge tcp-gateway", ours, process.execPath, [
    gatewayMain,
    "start",
    "--health-check=tcp", // the source speaks neither HTTP/2 nor TLS
    ...flags(ours),
  ]);
  const haproxy = await findProgram("haproxy");
  if (haproxy !== undefined) sides.push(await startHaproxy(haproxy, { port: haproxyPort, endpoint }, stack));
  return sides;
}

/** A second comparator where the machine has it. One thread, as the gateway has one. */
async function startHaproxy(
  program: string,
  { port, endpoint }: { port: number; endpoint: number },
  stack: AsyncDisposableStack,
): Promise<Side> {
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-bench-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const config = join(folder, "haproxy.cfg");
  const lines = [
    "global",
    "  nbthread 1",
    "defaults",
    "  mode tcp",
    "  timeout connect 5s",
    "  timeout client 1m",
    "  timeout server 1m",
    "listen etcd",
    `  bind 127.0.0.1:${port}`,
    `  server one 127.0.0.1:${endpoint}`,
    "",
  ];
  await writeFile(config, lines.join("\n"));
  const running = stack.use(startProgram(program, ["-db", "-V", "-f", config]));
  await running.waitForLine("Using");
  return { name: "haproxy", port, pid: running.pid };
}

async function measure({ port, pid }: Side, figures: Figures, seconds: number): Promise<void> {
  const before = await cpuSeconds(pid);
  const took = await receiveBulk(port);
  const between = await cpuSeconds(pid);
  figures.bulkRate.push(BULK_BYTES / GIGABYTE / took);
  figures.bulkCpu.push((between - before) / (BULK_BYTES / GIGABYTE));
  const answers = await pingPong(port, CONNECTIONS, seconds);
  figures.messageRate.push(answers / seconds);
  figures.messageCpu.push((((await cpuSeconds(pid)) - between) * 1e6) / answers);
}

function toRows(figures: ReadonlyMap<string, Figures>): Row[] {
  const kinds = [
    {
      what: "bulk, one connection",
      unit: "GB/s",
      of: "bulkRate",
      goal: "≥ 1.2× etcd gateway",
      isMet: atLeast(1.2),
    },
    { what: "bulk, CPU", unit: "s per GB", of: "bulkCpu", goal: "≤ 1× etcd gateway", isMet: atMost(1) },
    { what: "128-byte messages", unit: "/s", of: "messageRate", goal: undefined, isMet: undefined },
    {
      what: "128-byte messages, CPU",
      unit: "µs each",
      of: "messageCpu",
      goal: "≤ 1× etcd gateway",
      isMet: atMost(1),
    },
  ] as const;
  return kinds.flatMap(({ what, unit, of, goal, isMet }) => {
    const summaries = [...figures].map(([side, values]): [string, Summary] => [side, summarise(values[of])]);
    const base = summaries.find(([side]) => side === "etcd gateway")?.[1];
    return summaries.map(([side, summary]): Row => {
      const isOurs = side === "etcd-edge tcp-gateway" && base !== undefined && goal !== undefined;
      return {
        what,
        side,
        unit,
        summary,
        ...(isOurs ? { goal, met: isMet(summary.median / base.median) } : {}),
      };
    });
  });
}

function atLeast(factor: number): (ratio: number) => boolean {
  return (ratio) => ratio >= factor;
}

function atMost(factor: number): (ratio: number) => boolean {
  return (ratio) => ratio <= factor;
}
