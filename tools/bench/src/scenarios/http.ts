import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { create, PutRequestSchema, toBinary } from "@etcd-edge/proto";
import { type EtcdBinary, type EtcdCluster, startEtcdCluster } from "@etcd-edge/testkit";
import { Channel } from "@etcd-edge/transport";
import { type Child, startChild } from "../child.ts";
import { findChosenEtcd } from "../chosen-etcd.ts";
import { h2load } from "../load/h2load.ts";
import { putMany } from "../load/put-many.ts";
import { countsThat } from "../load/watch-counts.ts";
import { cpuSeconds } from "../process-cpu.ts";
import { machineNotes, type Report, type Row } from "../report.ts";
import { summarise } from "../stats.ts";
import type { BenchOptions } from "./bench-options.ts";
import { withFile } from "./body-file.ts";
import { ourHttpGateway, type Side, startDoor } from "./doors.ts";

const connections = 32;
/** V8 takes some seconds of load until it has compiled what it is going to. */
const warmUpSeconds = 4;
const watchers = 1_000;
const puts = 1_000;
const writers = 16;
const idleConnections = 10_000;
/** Of 1 KiB: their range is 100 MB of values. */
const largeKeys = 100_000;
const largeReads = 10;

const b64 = (text: string): string => Buffer.from(text).toString("base64");
const calls = [
  { name: "Range", path: "/v3/kv/range", body: `{"key":"${b64("bench")}"}` },
  { name: "Put", path: "/v3/kv/put", body: `{"key":"${b64("bench")}","value":"${b64("v".repeat(64))}"}` },
] as const;
const kinds = ["ndjson", "websocket", "sse"] as const;
const ours = "etcd-edge http-gateway";
const theirs = "etcd's own JSON door";
/** What any door on node:http has to pay. */
const floor = "node:http alone";

/** The JSON door beside etcd's own: calls, watches of one key by a thousand clients, memory. */
export async function benchHttp({ rounds, seconds, etcd }: BenchOptions): Promise<Report> {
  const binary = await findChosenEtcd(etcd);
  const rows: Row[] = [];
  for (const call of calls) rows.push(...(await benchCall(binary, call, { rounds, seconds })));
  for (const kind of kinds) rows.push(...(await benchWatchers(binary, kind, rounds)));
  rows.push(...(await benchLargeRanges(binary)), ...(await benchIdle(binary)));
  return {
    suite: "http",
    rows,
    notes: [
      `etcd ${binary.version}, one member. Calls: h2load with ${connections} connections of HTTP/1.1, ${rounds} rounds of ${seconds} s, sides alternating. CPU is of the process that speaks JSON: of etcd all that it does, and beside the gateway's what etcd does behind it. node:http alone is a server that answers the same bytes and asks nobody.`,
      `Watches: ${watchers} connections that watch one key, ${puts} puts by ${writers} writers over gRPC; a process counts events by their text. The rate is from the first event to the last, and no more than the writes allow. Watches at etcd by its own metrics.`,
      `Large: ${largeReads} ranges of ${largeKeys.toLocaleString("en-US")} values of 1 KiB, one after the other, read as fast as they come; memory is the most that the gateway had resident, less what it had before. Idle: ${idleConnections.toLocaleString("en-US")} connections after one request each.`,
      ...machineNotes(),
    ],
  };
}

interface Doors extends AsyncDisposable {
  readonly cluster: EtcdCluster;
  readonly etcd: Side;
  readonly gateway: Side & { readonly pid: number };
}

async function openDoors(binary: EtcdBinary): Promise<Doors> {
  const stack = new AsyncDisposableStack();
  const cluster = stack.use(await startEtcdCluster({ binary }));
  const gateway = await startDoor(ourHttpGateway(), cluster, stack);
  const etcd = { name: theirs, port: Number(new URL(cluster.members[0]?.clientUrl ?? "").port) };
  return {
    cluster,
    etcd: { ...etcd, pid: cluster.members[0]?.pid ?? -1 },
    gateway: { ...gateway, pid: gateway.pid ?? -1 },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

// ---- calls ----

async function benchCall(
  binary: EtcdBinary,
  call: (typeof calls)[number],
  { rounds, seconds }: BenchOptions,
): Promise<Row[]> {
  await using doors = await openDoors(binary);
  const { etcd, gateway } = doors;
  await using child = await startFloor(gateway.port, call);
  const bare: Side = { name: floor, port: Number(await child.ask()), pid: child.pid };
  const sides = [etcd, gateway, bare];
  const rate: Record<string, number[]> = { [theirs]: [], [ours]: [], [floor]: [] };
  const cpu: Record<string, number[]> = { [theirs]: [], [ours]: [], [floor]: [] };
  const behind: number[] = [];
  await withFile(call.body, async (bodyFile) => {
    const load = ({ port }: Side, duration: number) =>
      h2load({ port, path: call.path, bodyFile, connections, streams: 1, seconds: duration, as: "json" });
    for (const side of sides) await load(side, Math.max(warmUpSeconds, seconds));
    for (let round = 0; round < rounds; round++) {
      for (const side of sides) {
        const before = await cpuSeconds(side.pid ?? -1);
        const etcdBefore = await cpuSeconds(etcd.pid ?? -1);
        const { requests } = await load(side, seconds);
        rate[side.name]?.push(requests / seconds);
        cpu[side.name]?.push((((await cpuSeconds(side.pid ?? -1)) - before) / requests) * 1e6);
        if (side === gateway)
          behind.push((((await cpuSeconds(etcd.pid ?? -1)) - etcdBefore) / requests) * 1e6);
      }
    }
  });
  const median = (of: Record<string, number[]>, side: string): number => summarise(of[side] ?? []).median;
  const isRange = call.name === "Range";
  const rateGoal = { goal: "≥ 3 × etcd's", met: median(rate, ours) >= 3 * median(rate, theirs) };
  const cpuGoal = { goal: "≤ 1/4 of etcd's", met: median(cpu, ours) <= median(cpu, theirs) / 4 };
  const row = (what: string, side: string, unit: string, values: number[], goal = {}): Row => ({
    what: `JSON ${call.name}: ${what}`,
    side,
    unit,
    summary: summarise(values),
    ...goal,
  });
  return [
    row("calls per second", theirs, "/s", rate[theirs] ?? []),
    row("calls per second", ours, "/s", rate[ours] ?? [], isRange ? rateGoal : {}),
    row("CPU per call", theirs, "µs", cpu[theirs] ?? []),
    row("CPU per call", ours, "µs", cpu[ours] ?? [], isRange ? cpuGoal : {}),
    row("CPU of etcd behind it", ours, "µs", behind),
    row("calls per second", floor, "/s", rate[floor] ?? []),
    row("CPU per call", floor, "µs", cpu[floor] ?? []),
  ];
}

/** A server that answers as the gateway did once, whatever it is asked. Its first message is its port. */
async function startFloor(port: number, { path, body }: (typeof calls)[number]): Promise<Child> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", body });
  const text = await answer.text();
  const own = ["connection", "keep-alive", "date"];
  const headers = [...answer.headers].filter(([name]) => !own.includes(name)).flat();
  return startChild(join("servers", "node-http.ts"), [JSON.stringify(headers), text]);
}

// ---- watches ----

interface WatchFigures {
  readonly rate: number;
  readonly cpuUs: number;
  readonly lost: number;
  readonly upstream: number;
}

async function benchWatchers(
  binary: EtcdBinary,
  kind: (typeof kinds)[number],
  rounds: number,
): Promise<Row[]> {
  const figures = new Map<string, WatchFigures[]>();
  // etcd has no Server-Sent Events.
  const sides = kind === "sse" ? ["gateway" as const] : (["etcd", "gateway"] as const);
  for (let round = 0; round < rounds; round++) {
    for (const which of sides) {
      // An etcd of its own for each: watches of the one before may still be there.
      await using doors = await openDoors(binary);
      const side = doors[which];
      const list = figures.get(side.name) ?? [];
      list.push(await watch(doors, side, kind));
      figures.set(side.name, list);
    }
  }
  const goals: Partial<Record<keyof WatchFigures, (values: readonly number[]) => object>> = {
    lost: (values) => ({ goal: "0", met: values.every((value) => value === 0) }),
    upstream: (values) => ({ goal: "1", met: values.every((value) => value === 1) }),
  };
  const titles = {
    rate: ["events per second", "/s"],
    cpuUs: ["CPU per event", "µs"],
    lost: ["events lost", ""],
    upstream: ["watches at etcd", ""],
  } as const;
  return (Object.keys(titles) as (keyof WatchFigures)[]).flatMap((figure) =>
    [...figures].map(([side, list]): Row => {
      const [title, unit] = titles[figure];
      const values = list.map((one) => one[figure]);
      const what = `${watchers.toLocaleString("en-US")} ${kind} watches: ${title}`;
      return {
        what,
        side,
        unit,
        summary: summarise(values),
        ...(side === ours ? goals[figure]?.(values) : {}),
      };
    }),
  );
}

async function watch({ cluster, etcd }: Doors, side: Side, kind: string): Promise<WatchFigures> {
  await using worker = startWorker(side.port, kind, watchers);
  await countsThat(worker, ({ created }) => created === watchers);
  const upstream = await countWatchers(etcd.port);
  const before = await cpuSeconds(side.pid ?? -1);
  await putMany(cluster, { puts, writers });
  const expected = watchers * puts;
  const counts = await countsThat(worker, ({ events }) => events >= expected, 30_000);
  return {
    rate: counts.events / Math.max(0.001, (counts.lastAtMs - counts.firstAtMs) / 1000),
    cpuUs: (((await cpuSeconds(side.pid ?? -1)) - before) / Math.max(1, counts.events)) * 1e6,
    lost: expected - counts.events,
    upstream,
  };
}

function startWorker(port: number, kind: string, count: number) {
  return startChild(join("load", "http-watch-worker.ts"), [String(port), kind, String(count)]);
}

async function countWatchers(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^etcd_debugging_mvcc_watcher_total (\d+)/m.exec(text)?.[1]);
}

function channelTo({ endpoints }: EtcdCluster): Channel {
  const [host = "", port = ""] = (endpoints[0] ?? "").split(":");
  return new Channel({ endpoint: { host, port: Number(port) } });
}

// ---- memory ----

async function benchLargeRanges(binary: EtcdBinary): Promise<Row[]> {
  await using doors = await openDoors(binary);
  const { cluster, gateway } = doors;
  {
    await using channel = channelTo(cluster);
    let next = 0;
    const writer = async (): Promise<void> => {
      while (next < largeKeys) {
        const key = Buffer.from(`large/${String(next++).padStart(8, "0")}`);
        const message = create(PutRequestSchema, { key, value: Buffer.alloc(1024, "v") });
        await channel.unaryCall("/etcdserverpb.KV/Put", [], toBinary(PutRequestSchema, message));
      }
    };
    await Promise.all(Array.from({ length: 64 }, writer));
  }
  await readRange(gateway.port, "bench", undefined); // the first of everything
  const before = await memoryOf(gateway.pid, "VmRSS");
  let bytes = 0;
  const cpuBefore = await cpuSeconds(gateway.pid);
  const started = performance.now();
  for (let i = 0; i < largeReads; i++) bytes += await readRange(gateway.port, "large/", "large0");
  const seconds = (performance.now() - started) / 1000;
  const peak = await memoryOf(gateway.pid, "VmHWM");
  const cpu = (await cpuSeconds(gateway.pid)) - cpuBefore;
  const what = `${(bytes / 1e9).toPrecision(2)} GB of ranges`;
  const row = (title: string, unit: string, value: number): Row => ({
    what: `${what}: ${title}`,
    side: ours,
    unit,
    summary: summarise([value]),
  });
  return [
    row("memory at most", "MB", (peak - before) / 1e6),
    row("JSON per second", "MB/s", bytes / 1e6 / seconds),
    row("CPU per GB", "s", cpu / (bytes / 1e9)),
  ];
}

/** @returns the length of the answer */
function readRange(port: number, key: string, end: string | undefined): Promise<number> {
  const body = JSON.stringify({ key: b64(key), ...(end === undefined ? {} : { range_end: b64(end) }) });
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, path: "/v3/kv/range", method: "POST", agent: false });
    outgoing.on("error", reject).on("response", (response) => {
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on("end", () => resolve(bytes)).on("error", reject);
    });
    outgoing.end(body);
  });
}

async function benchIdle(binary: EtcdBinary): Promise<Row[]> {
  const rows: Row[] = [];
  for (const kind of ["idle", "sse"]) {
    await using doors = await openDoors(binary);
    const { gateway } = doors;
    await readRange(gateway.port, "bench", undefined);
    const before = await memoryOf(gateway.pid, "VmRSS");
    await using worker = startWorker(gateway.port, kind, idleConnections);
    const { created } = await countsThat(worker, (counts) => counts.created === idleConnections);
    await delay(2_000);
    const after = await memoryOf(gateway.pid, "VmRSS");
    const cpuBefore = await cpuSeconds(gateway.pid);
    await delay(5_000);
    const cpu = ((await cpuSeconds(gateway.pid)) - cpuBefore) / 5;
    const what = `${created.toLocaleString("en-US")} ${kind === "sse" ? "idle event streams" : "idle connections"}`;
    rows.push(
      {
        what: `${what}: memory of each`,
        side: ours,
        unit: "KB",
        summary: summarise([(after - before) / 1024 / created]),
      },
      { what: `${what}: CPU meanwhile`, side: ours, unit: "%", summary: summarise([cpu * 100]) },
    );
  }
  return rows;
}

async function memoryOf(pid: number, field: "VmRSS" | "VmHWM"): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * 1024;
}
