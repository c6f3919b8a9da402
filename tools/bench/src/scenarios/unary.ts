import { Buffer } from "node:buffer";
import { join } from "node:path";
import { type EtcdCluster, findFreePorts, startEtcdCluster, startProgram } from "@etcd-edge/testkit";
import { Channel } from "@etcd-edge/transport";
import { findChosenEtcd } from "../chosen-etcd.ts";
import { h2load } from "../load/h2load.ts";
import { cpuSeconds } from "../process-cpu.ts";
import { machineNotes, type Report, type Row } from "../report.ts";
import { type Summary, summarise } from "../stats.ts";
import type { BenchOptions } from "./bench-options.ts";
import { withBodyFile } from "./body-file.ts";
import { direct, etcdGateway, etcdProxy, ourGateway, ourProxy, type Side, startDoor } from "./doors.ts";

const CONNECTIONS = 10;
const STREAMS = 10;
/** Calls of the latency measurement: one after the other. */
const LONE_CALLS = 2000;

/** RangeRequest{key: "bench"} and PutRequest{key: "bench", value: 64 × "v"}, by hand: field numbers 1 and 2. */
const range = Buffer.concat([Buffer.of(0x0a, 5), Buffer.from("bench")]);
const put = Buffer.concat([range, Buffer.of(0x12, 64), Buffer.alloc(64, "v")]);
const methods = [
  { name: "Range", path: "/etcdserverpb.KV/Range", body: range },
  { name: "Put", path: "/etcdserverpb.KV/Put", body: put },
] as const;

interface Figures {
  readonly rate: number[];
  readonly cpu: number[];
  readonly etcdCpu: number[];
  readonly latency: number[];
}

/** What a call through each front door costs, beside a direct one. Unshared: every request is its own upstream call. */
export async function benchUnary(options: BenchOptions): Promise<Report> {
  const binary = await findChosenEtcd(options.etcd);
  await using cluster = await startEtcdCluster({ binary });
  await using stack = new AsyncDisposableStack();
  const sides = await startSides(cluster, stack);
  const rows: Row[] = [];
  for (const method of methods) {
    const figures = await measure(method, sides, cluster, options);
    rows.push(...toRows(method.name, figures));
  }
  return {
    suite: "unary",
    rows,
    notes: [
      `etcd ${binary.version}, one member; h2load with ${CONNECTIONS} connections × ${STREAMS} streams, ${options.rounds} rounds of ${options.seconds} s, sides alternating.`,
      "CPU is of the process in front, by /proc; CPU of etcd stands beside. All calls are for one key; ours shares no reads here (`--share-reads=false`): the suite `reads` is about that.",
      `Latency: ${LONE_CALLS} calls one after the other, median of a round. The bare relay hands bytes on unread: the floor for any door in Node.`,
      ...machineNotes(),
    ],
  };
}

async function startSides(cluster: EtcdCluster, stack: AsyncDisposableStack): Promise<Side[]> {
  const [relayPort = 0] = await findFreePorts(1);
  const straight = direct(cluster);
  const relay = startProgram(process.execPath, [
    join(import.meta.dirname, "..", "servers", "byte-relay.ts"),
    String(relayPort),
    String(straight.port),
  ]);
  stack.use(relay);
  await relay.waitForLine("relay listens");
  return [
    straight,
    await startDoor(etcdProxy(cluster), cluster, stack),
    await startDoor(ourProxy("etcd-edge grpc-proxy", ["--share-reads=false"]), cluster, stack),
    await startDoor(etcdGateway(cluster), cluster, stack),
    await startDoor(ourGateway(), cluster, stack),
    { name: "a bare relay in Node", port: relayPort, pid: relay.pid },
  ];
}

async function measure(
  method: (typeof methods)[number],
  sides: readonly Side[],
  cluster: EtcdCluster,
  { rounds, seconds }: BenchOptions,
): Promise<Map<string, Figures>> {
  const etcdPid = cluster.members[0]?.pid ?? -1;
  const figures = new Map(
    sides.map(({ name }): [string, Figures] => [name, { rate: [], cpu: [], etcdCpu: [], latency: [] }]),
  );
  await withBodyFile(method.body, async (bodyFile) => {
    const load = ({ port }: Side, duration: number): ReturnType<typeof h2load> =>
      h2load({
        port,
        path: method.path,
        bodyFile,
        connections: CONNECTIONS,
        streams: STREAMS,
        seconds: duration,
      });
    for (const side of sides) await load(side, Math.min(2, seconds));
    for (let round = 0; round < rounds; round++) {
      for (const side of sides) {
        const of = figures.get(side.name);
        if (of === undefined) continue;
        const before = side.pid === undefined ? 0 : await cpuSeconds(side.pid);
        const etcdBefore = await cpuSeconds(etcdPid);
        const { requests } = await load(side, seconds);
        of.rate.push(requests / seconds);
        of.etcdCpu.push((((await cpuSeconds(etcdPid)) - etcdBefore) / requests) * 1e6);
        if (side.pid !== undefined) of.cpu.push((((await cpuSeconds(side.pid)) - before) / requests) * 1e6);
        of.latency.push(await latencyUs(side.port, method));
      }
    }
  });
  return figures;
}

async function latencyUs(port: number, { path, body }: (typeof methods)[number]): Promise<number> {
  await using channel = new Channel({ endpoint: { host: "127.0.0.1", port } });
  for (let i = 0; i < 200; i++) await channel.unaryCall(path, [], body);
  const times: number[] = [];
  for (let i = 0; i < LONE_CALLS; i++) {
    const started = performance.now();
    await channel.unaryCall(path, [], body);
    times.push((performance.now() - started) * 1000);
  }
  // Not the mean: on a busy machine a few calls that wait for the scheduler outweigh all the others.
  return summarise(times).median;
}

/** Goals of design.md, section 8, as ratios to the sides measured beside. */
function toRows(method: string, figures: ReadonlyMap<string, Figures>): Row[] {
  const summaries = new Map(
    [...figures].map(([name, { rate, cpu, etcdCpu, latency }]): [string, Record<string, Summary>] => [
      name,
      {
        rate: summarise(rate),
        etcdCpu: summarise(etcdCpu),
        latency: summarise(latency),
        ...(cpu.length > 0 ? { cpu: summarise(cpu) } : {}),
      },
    ]),
  );
  const median = (side: string, figure: string): number =>
    summaries.get(side)?.[figure]?.median ?? Number.NaN;
  const cpuShare = method === "Put" ? 4 : 5;
  const goals: Readonly<Record<string, { text: string; met: (side: string) => boolean }>> = {
    "etcd-edge grpc-proxy rate": {
      text: "≥ 0.85 × direct",
      met: (side) => median(side, "rate") >= 0.85 * median("direct", "rate"),
    },
    "etcd-edge grpc-proxy cpu": {
      text: `≤ 1/${cpuShare} of etcd's proxy`,
      met: (side) => median(side, "cpu") <= median("etcd grpc-proxy", "cpu") / cpuShare,
    },
    "etcd-edge grpc-proxy latency": {
      text: "adds ≤ 1/3 of what etcd's proxy adds",
      met: (side) => {
        const direct = median("direct", "latency");
        return median(side, "latency") - direct <= (median("etcd grpc-proxy", "latency") - direct) / 3;
      },
    },
    "etcd-edge tcp-gateway cpu": {
      text: "≤ 1 × etcd's gateway",
      met: (side) => median(side, "cpu") <= median("etcd gateway", "cpu"),
    },
  };
  const units = { rate: "/s", cpu: "µs", etcdCpu: "µs", latency: "µs" } as const;
  const titles = {
    rate: "calls per second",
    cpu: "CPU per call in front",
    etcdCpu: "CPU of etcd per call",
    latency: "one in flight",
  } as const;
  return (["rate", "cpu", "etcdCpu", "latency"] as const).flatMap((figure) =>
    [...summaries].flatMap(([side, of]): Row[] => {
      const summary = of[figure];
      if (summary === undefined) return [];
      const goal = goals[`${side} ${figure}`];
      return [
        {
          what: `${method}: ${titles[figure]}`,
          side,
          unit: units[figure],
          summary,
          ...(goal === undefined ? {} : { goal: goal.text, met: goal.met(side) }),
        },
      ];
    }),
  );
}
