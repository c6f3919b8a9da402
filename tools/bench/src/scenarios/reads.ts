import { Buffer } from "node:buffer";
import { countCallsAtEtcd, type EtcdCluster, startEtcdCluster } from "@etcd-edge/testkit";
import { Channel } from "@etcd-edge/transport";
import { startChild } from "../child.ts";
import { findChosenEtcd } from "../chosen-etcd.ts";
import type { GoLoadPlan } from "../load/grpc-go-load.ts";
import { h2load } from "../load/h2load.ts";
import type { LoadResult } from "../load/load-result.ts";
import { cpuSeconds } from "../process-cpu.ts";
import { machineNotes, type Report, type Row } from "../report.ts";
import { type Summary, summarise } from "../stats.ts";
import type { BenchOptions } from "./bench-options.ts";
import { withBodyFile } from "./body-file.ts";
import { direct, etcdProxy, ourProxy, type Side, startDoor } from "./doors.ts";

const KEYS = 10_000;
const WIDTH = 5;
const rangePath = "/etcdserverpb.KV/Range";
const prefix = "bench/";
const shared = "etcd-edge grpc-proxy";

/** RangeRequest{key: "bench/00000"}; the digits are where the load puts others. */
const range = Buffer.from(`\n${String.fromCharCode(prefix.length + WIDTH)}${prefix}${"0".repeat(WIDTH)}`);
const digits = { offset: 2 + prefix.length, width: WIDTH, count: KEYS };

/** The same, of any one member: field 7 is `serializable`. */
const serializable = Buffer.concat([range, Buffer.of(0x38, 1)]);

interface Mix {
  readonly name: string;
  /** Equal requests but for their digits; or what a Kubernetes control plane does, by so many clients. */
  readonly plan:
    | (Pick<GoLoadPlan, "connections" | "streams" | "digits"> & {
        readonly body: Buffer;
        /** h2load, with the same headers on each call, which costs a fifth of the processor. Default: ours. */
        readonly isH2load?: true;
      })
    | { readonly clients: number };
  /** Rates, and CPU, against those of direct reads and of etcd's proxy, by number of members. */
  readonly goals: {
    readonly direct?: Readonly<Record<number, number>>;
    readonly proxy?: number;
    readonly etcdCpu?: number;
    /** Of the process in front, below that of etcd's proxy. */
    readonly frontCpu?: number;
  };
}

const oneKey = { connections: 10, streams: 10, body: range };
const oneKeySerializable = { ...oneKey, body: serializable };
const oneKeyGoals = { direct: { 1: 2.5, 3: 4 }, proxy: 9, etcdCpu: 5 };
const oneKeySerializableGoals = { proxy: 2, frontCpu: 4 };

const mixes: readonly Mix[] = [
  { name: "one key, 100 in flight", plan: oneKey, goals: oneKeyGoals },
  { name: "one key, 100 in flight of h2load", plan: { ...oneKey, isH2load: true }, goals: oneKeyGoals },
  {
    name: "one key, one read after the other of h2load",
    plan: { ...oneKey, connections: 1, streams: 1, isH2load: true },
    goals: {},
  },
  {
    name: `${KEYS.toLocaleString("en-US")} keys, 256 in flight`,
    plan: { connections: 16, streams: 16, digits, body: range },
    goals: { direct: { 1: 1.3, 3: 1.3 }, proxy: 4 },
  },
  {
    name: "serializable, one key, 100 in flight",
    plan: oneKeySerializable,
    goals: oneKeySerializableGoals,
  },
  {
    name: "serializable, one key, 100 in flight of h2load",
    plan: { ...oneKeySerializable, isH2load: true },
    goals: oneKeySerializableGoals,
  },
  {
    name: `serializable, ${KEYS.toLocaleString("en-US")} keys, 256 in flight`,
    plan: { connections: 16, streams: 16, digits, body: serializable },
    goals: {},
  },
  { name: "gets, lists and watches as of Kubernetes, 10 clients", plan: { clients: 10 }, goals: {} },
];

interface Figures {
  readonly rate: number[];
  /** µs of the process in front per read. */
  readonly cpu: number[];
  /** µs of all members per read. */
  readonly etcdCpu: number[];
  /** Calls that etcd answered per read. */
  readonly etcdCalls: number[];
}

/** Whatever a read can be on its way to a member. */
const readMethods = ["Range", "Txn", "RangeStream"];

/** Linearizable reads: what sharing them saves, on one member and on three. */
export async function benchReads(options: BenchOptions): Promise<Report> {
  const binary = await findChosenEtcd(options.etcd);
  const rows: Row[] = [];
  for (const members of [1, 3] as const) {
    await using cluster = await startEtcdCluster({ binary, members });
    await fill(cluster);
    await using stack = new AsyncDisposableStack();
    const sides = [
      direct(cluster),
      await startDoor(etcdProxy(cluster), cluster, stack),
      await startDoor(ourProxy(shared), cluster, stack),
      await startDoor(ourProxy(`${shared}, nothing held`, ["--cache-reads=false"]), cluster, stack),
      await startDoor(ourProxy(`${shared}, unshared`, ["--share-reads=false"]), cluster, stack),
    ];
    for (const mix of mixes) rows.push(...toRows(mix, members, await measure(mix, sides, cluster, options)));
  }
  return {
    suite: "reads",
    rows,
    notes: [
      `etcd ${binary.version}; reads of 64 bytes by one key, linearizable where nothing else is said, with headers as grpc-go sends them where nothing is said of h2load, ${options.rounds} rounds of ${options.seconds} s, sides alternating.`,
      "Direct reads go to the first member; the proxies have all of them. CPU is of the process in front, and of all members together.",
      ...machineNotes(),
    ],
  };
}

async function fill({ endpoints }: EtcdCluster): Promise<void> {
  const [host = "", port = ""] = endpoints[0]?.split(":") ?? [];
  await using channel = new Channel({ endpoint: { host, port: Number(port) } });
  const value = Buffer.concat([Buffer.of(0x12, 64), Buffer.alloc(64, "v")]);
  const keyOf = (i: number): Buffer => Buffer.from(String(i).padStart(WIDTH, "0"));
  for (let i = 0; i < KEYS; i += 500) {
    const puts = Array.from({ length: 500 }, (_, j) => {
      const body = Buffer.concat([range.subarray(0, digits.offset), keyOf(i + j), value]);
      return channel.unaryCall("/etcdserverpb.KV/Put", [], body);
    });
    await Promise.all(puts);
  }
}

async function measure(
  { plan }: Mix,
  sides: readonly Side[],
  cluster: EtcdCluster,
  { rounds, seconds }: BenchOptions,
): Promise<Map<string, Figures>> {
  const etcdCpu = async (): Promise<number> => {
    const all = await Promise.all(cluster.members.map(({ pid }) => cpuSeconds(pid)));
    return all.reduce((sum, one) => sum + one, 0);
  };
  const figures = new Map(
    sides.map(({ name }): [string, Figures] => [name, { rate: [], cpu: [], etcdCpu: [], etcdCalls: [] }]),
  );
  for (const side of sides) await load(side, plan, Math.min(2, seconds));
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) {
      const before = {
        front: side.pid === undefined ? 0 : await cpuSeconds(side.pid),
        etcd: await etcdCpu(),
        calls: await countCallsAtEtcd(cluster, readMethods),
      };
      const { requests, seconds: took } = await load(side, plan, seconds);
      const of = figures.get(side.name);
      of?.rate.push(requests / took);
      of?.etcdCpu.push((((await etcdCpu()) - before.etcd) / requests) * 1e6);
      of?.etcdCalls.push(((await countCallsAtEtcd(cluster, readMethods)) - before.calls) / requests);
      if (side.pid !== undefined)
        of?.cpu.push((((await cpuSeconds(side.pid)) - before.front) / requests) * 1e6);
    }
  }
  return figures;
}

async function load({ port }: Side, plan: Mix["plan"], seconds: number): Promise<LoadResult> {
  if ("clients" in plan) {
    const args = [port, seconds, plan.clients, prefix, WIDTH, KEYS].map(String);
    await using worker = startChild("load/kubernetes-worker.ts", args);
    return (await worker.ask()) as LoadResult;
  }
  if (plan.isH2load) {
    const { connections, streams } = plan;
    return await withBodyFile(plan.body, (bodyFile) =>
      h2load({ port, path: rangePath, bodyFile, connections, streams, seconds }),
    );
  }
  const whole = { ...plan, port, path: rangePath, body: plan.body.toString("base64"), seconds };
  await using worker = startChild("load/load-worker.ts", [JSON.stringify(whole)]);
  return (await worker.ask()) as LoadResult;
}

function toRows({ name, goals }: Mix, members: number, figures: ReadonlyMap<string, Figures>): Row[] {
  const summaries = new Map(
    [...figures].map(
      ([side, { rate, cpu, etcdCpu, etcdCalls }]): [string, Record<keyof Figures, Summary | undefined>] => [
        side,
        {
          rate: summarise(rate),
          cpu: cpu.length === 0 ? undefined : summarise(cpu),
          etcdCpu: summarise(etcdCpu),
          etcdCalls: summarise(etcdCalls),
        },
      ],
    ),
  );
  const median = (side: string, figure: keyof Figures): number =>
    summaries.get(side)?.[figure]?.median ?? Number.NaN;
  const overDirect = goals.direct?.[members] ?? 0;
  const overProxy = goals.proxy ?? 0;
  const rateGoals = [
    ...(overDirect > 0 ? [`≥ ${overDirect} × direct`] : []),
    ...(overProxy > 0 ? [`≥ ${overProxy} × etcd's proxy`] : []),
  ];
  const rateGoal =
    rateGoals.length === 0
      ? undefined
      : {
          goal: rateGoals.join(", "),
          met:
            median(shared, "rate") >= overDirect * median("direct", "rate") &&
            median(shared, "rate") >= overProxy * median("etcd grpc-proxy", "rate"),
        };
  const frontGoal =
    goals.frontCpu === undefined
      ? undefined
      : {
          goal: `≤ 1/${goals.frontCpu} of etcd's proxy`,
          met: median(shared, "cpu") <= median("etcd grpc-proxy", "cpu") / goals.frontCpu,
        };
  const cpuGoal =
    goals.etcdCpu === undefined
      ? undefined
      : {
          goal: `≤ 1/${goals.etcdCpu} of direct`,
          met: median(shared, "etcdCpu") <= median("direct", "etcdCpu") / goals.etcdCpu,
        };
  const where = `${members === 1 ? "one member" : `${members} members`}, ${name}`;
  const figure = (
    key: keyof Figures,
    title: string,
    unit: string,
    goal: { readonly goal: string; readonly met: boolean } | undefined,
  ): Row[] =>
    [...summaries].flatMap(([side, of]) => {
      const summary = of[key];
      if (summary === undefined) return [];
      return [{ what: `${where}: ${title}`, side, unit, summary, ...(side === shared ? goal : undefined) }];
    });
  return [
    ...figure("rate", "reads per second", "/s", rateGoal),
    ...figure("cpu", "CPU per read in front", "µs", frontGoal),
    ...figure("etcdCpu", "CPU of etcd per read", "µs", cpuGoal),
    ...figure("etcdCalls", "calls at etcd per read, by its own counters", "", undefined),
  ];
}
