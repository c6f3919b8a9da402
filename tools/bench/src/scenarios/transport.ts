import { Buffer } from "node:buffer";
import { type Child, startChild } from "../child.ts";
import { h2load } from "../load/h2load.ts";
import type { LoadResult } from "../load/load-result.ts";
import { cpuSeconds } from "../process-cpu.ts";
import { machineNotes, type Report, type Row } from "../report.ts";
import { summarise } from "../stats.ts";
import type { BenchOptions } from "./bench-options.ts";
import { withBodyFile } from "./body-file.ts";

const CONNECTIONS = 10;
const STREAMS = 10;
const PATH = "/bench.Bench/Unary";
const BODY = Buffer.alloc(24, 1);
const sides = ["transport", "node-http2", "grpc-js"] as const;
type Side = (typeof sides)[number];

type Load = (port: number, seconds: number) => Promise<LoadResult>;

/** Cost of one unary answer, with both kinds of headers, and memory of what is idle. */
export async function benchTransport(options: BenchOptions): Promise<Report> {
  const rows = await withBodyFile(BODY, async (bodyFile) => {
    const loads: Readonly<Record<string, Load>> = {
      "headers as h2load's": (port, seconds) =>
        h2load({ port, path: PATH, bodyFile, connections: CONNECTIONS, streams: STREAMS, seconds }),
      "headers as grpc-go's": goLoad,
    };
    const measured: Row[] = [];
    for (const [name, load] of Object.entries(loads))
      measured.push(...(await unaryRows(name, load, options)));
    return measured;
  });
  rows.push(...(await memoryRows(options)));
  return {
    suite: "transport",
    rows,
    notes: [
      `Unary answers of 64 bytes, ${CONNECTIONS} connections × ${STREAMS} streams, ${options.rounds} rounds of ${options.seconds} s, sides alternating, the generator in a process of its own.`,
      "CPU is user and system time of the server process by /proc. grpc-go's headers: all fields indexed, a fresh grpc-timeout on each call.",
      "Memory is the growth of RSS after garbage collection, per stream (1,000 on each connection) or per connection.",
      ...machineNotes(),
    ],
  };
}

async function goLoad(port: number, seconds: number): Promise<LoadResult> {
  const plan = {
    port,
    path: PATH,
    body: BODY.toString("base64"),
    connections: CONNECTIONS,
    streams: STREAMS,
    seconds,
  };
  await using worker = startChild("load/load-worker.ts", [JSON.stringify(plan)]);
  return (await worker.ask()) as LoadResult;
}

async function startServer(side: Side): Promise<{ readonly child: Child; readonly port: number }> {
  const child = startChild(`servers/${side}.ts`);
  const { port } = (await child.ask()) as { port: number };
  return { child, port };
}

async function unaryRows(name: string, load: Load, { rounds, seconds }: BenchOptions): Promise<Row[]> {
  await using stack = new AsyncDisposableStack();
  const cpu = new Map<Side, number[]>();
  const rate = new Map<Side, number[]>();
  const servers = new Map<Side, { child: Child; port: number }>();
  for (const side of sides) {
    const server = await startServer(side);
    stack.use(server.child);
    servers.set(side, server);
    // The optimising compiler has to have seen the code.
    await load(server.port, Math.min(2, seconds));
  }
  for (let round = 0; round < rounds; round++) {
    for (const [side, { child, port }] of servers) {
      const before = await cpuSeconds(child.pid);
      const result = await load(port, seconds);
      const used = (await cpuSeconds(child.pid)) - before;
      cpu.set(side, [...(cpu.get(side) ?? []), (used / result.requests) * 1e6]);
      rate.set(side, [...(rate.get(side) ?? []), result.requests / result.seconds]);
    }
  }
  return sides.flatMap((side): Row[] => {
    const cost = summarise(cpu.get(side) ?? []);
    return [
      {
        what: `CPU of a unary answer, ${name}`,
        side,
        unit: "µs",
        summary: cost,
        ...(side === "transport" ? { goal: "≤ 8 µs", met: cost.median <= 8 } : {}),
      },
      {
        what: `unary answers per second, ${name}`,
        side,
        unit: "/s",
        summary: summarise(rate.get(side) ?? []),
      },
    ];
  });
}

async function memoryRows({ rounds }: BenchOptions): Promise<Row[]> {
  const perStream: number[] = [];
  const perConnection: number[] = [];
  for (let round = 0; round < rounds; round++) {
    perStream.push(await growth(20, 1000, 20_000));
    perConnection.push(await growth(2000, 0, 2000));
  }
  const stream = summarise(perStream);
  const connection = summarise(perConnection);
  const row = (what: string, summary: typeof stream, limit: number, goal: string): Row => ({
    what,
    side: "transport",
    unit: "bytes",
    summary,
    goal,
    met: summary.median <= limit,
  });
  return [
    row("memory of an idle stream", stream, 1024, "≤ 1 KB"),
    row("memory of an idle plain connection", connection, 20 * 1024, "≤ 20 KB"),
  ];
}

/** Growth of the server's memory by so many connections with so many open calls each, divided by `units`. */
async function growth(connections: number, streams: number, units: number): Promise<number> {
  const { child, port } = await startServer("transport");
  await using server = child;
  // Code and pools that are there once, whatever the number of connections, are not to be counted.
  const idle = async (count: number, each: number): Promise<AsyncDisposable> => {
    const worker = startChild("load/idle-worker.ts", [port, count, each].map(String));
    await worker.ask();
    return worker;
  };
  {
    await using _warm = await idle(5, Math.min(streams, 1000));
  }
  const memory = async (): Promise<number> => ((await server.ask("memory")) as { rss: number }).rss;
  const before = await memory();
  await using _load = await idle(connections, streams);
  return ((await memory()) - before) / units;
}
