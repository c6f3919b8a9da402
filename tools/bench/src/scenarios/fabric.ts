import { setTimeout as delay } from "node:timers/promises";
import { create, fromBinary, toBinary, WatchRequestSchema, WatchResponseSchema } from "@etcd-edge/proto";
import { type EtcdCluster, startEtcdCluster } from "@etcd-edge/testkit";
import { Channel } from "@etcd-edge/transport";
import { findChosenEtcd } from "../chosen-etcd.ts";
import { machineNotes, type Report, type Row } from "../report.ts";
import { summarise } from "../stats.ts";
import type { BenchOptions } from "./bench-options.ts";
import { type FabricFleet, type FleetProxy, startFabricFleet } from "./fabric-fleet.ts";

const replicas = 3;
const watchers = 2_000;
const prefixes = ["a", "b", "c", "d", "e"];
const putsPerRound = 500;
const pollMs = 20;
const steadyMs = 10_000;

interface Figures {
  readonly ingesterMs: number;
  readonly followerMs: number;
  readonly moreMs: number;
  readonly framesPerEvent: number;
  readonly bytesPerEvent: number;
  readonly killMs: number;
  readonly killWatches: number;
  readonly natsMs: number;
  readonly drainMs: number;
}

/** What replicas that share feeds cost, and what they spare etcd. */
export async function benchFabric({ rounds, etcd }: BenchOptions): Promise<Report> {
  const binary = await findChosenEtcd(etcd);
  await using cluster = await startEtcdCluster({ binary });
  const alone: number[] = [];
  const shared: number[] = [];
  const figures: Figures[] = [];
  for (let round = 0; round < rounds; round++) {
    {
      await using fleet = await startFabricFleet(cluster, replicas, false);
      await using _clients = await openWatchers(fleet);
      alone.push(await fleet.watchesAtEtcd());
    }
    await using fleet = await startFabricFleet(cluster, replicas, true);
    await using _clients = await openWatchers(fleet);
    shared.push(await steadyWatches(fleet));
    figures.push(await measure(cluster, fleet));
  }
  return {
    suite: "fabric",
    rows: toRows(alone, shared, figures),
    notes: [
      `etcd ${binary.version}, one member; ${replicas} grpc-proxies and a NATS server on one machine; ${watchers} watchers of ${prefixes.length} ranges spread over them. ${rounds} rounds, each with processes of its own.`,
      `Latency is from the put being sent to the event being there, of ${putsPerRound} puts one after the other, at one client of the replica that watches at etcd and one of a replica that follows, in the process that puts.`,
      "Frames and bytes are what the replica that watches publishes, by its own counters; one frame serves all who follow. Bytes are of whole messages.",
      "Recovery is until a client of another replica has an event that was written after the fault (kill -9, SIGTERM of the replica that watches) or until etcd has one watch of each range again (NATS).",
      ...machineNotes(),
    ],
  };
}

/** Watchers that are there and nothing else. */
async function openWatchers(fleet: FabricFleet): Promise<AsyncDisposable> {
  const undo = new AsyncDisposableStack();
  const channels = fleet.proxies.map(({ port }) =>
    undo.use(new Channel({ endpoint: { host: "127.0.0.1", port } })),
  );
  const created: Promise<void>[] = [];
  for (let i = 0; i < watchers; i++) {
    const channel = channels[i % channels.length];
    const prefix = prefixes[Math.floor(i / channels.length) % prefixes.length];
    if (channel !== undefined && prefix !== undefined) created.push(watch(channel, prefix, () => {}));
  }
  await Promise.all(created);
  return { [Symbol.asyncDispose]: () => undo.disposeAsync() };
}

/** @returns once it is created */
function watch(channel: Channel, prefix: string, onEvents: (revision: bigint) => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const value = { key: Buffer.from(`${prefix}/`), rangeEnd: Buffer.from(`${prefix}0`) };
  const request = create(WatchRequestSchema, { requestUnion: { case: "createRequest", value } });
  const call = channel.open(
    "/etcdserverpb.Watch/Watch",
    [],
    {},
    {
      onMessage: (payload) => {
        const { created, canceled, events } = fromBinary(WatchResponseSchema, payload);
        if (created && !canceled) resolve();
        const last = events.at(-1)?.kv?.modRevision;
        if (last !== undefined) onEvents(last);
      },
      onEnd: () => {},
    },
  );
  call.sendMessage(toBinary(WatchRequestSchema, request));
  return promise;
}

async function measure(cluster: EtcdCluster, fleet: FabricFleet): Promise<Figures> {
  await using undo = new AsyncDisposableStack();
  const connect = (port: number): Channel => undo.use(new Channel({ endpoint: { host: "127.0.0.1", port } }));
  const writer = connect(Number(cluster.endpoints[0]?.split(":")[1]));
  const ingester = await fleet.ingester('["a/", "a0")');
  const [follower] = fleet.proxies.filter((proxy) => proxy !== ingester);
  if (follower === undefined) throw new Error("nobody follows");
  const sides = { ingester: new Arrivals(), follower: new Arrivals() };
  await watch(connect(ingester.port), "a", () => sides.ingester.note());
  await watch(connect(follower.port), "a", () => sides.follower.note());
  await delay(500);

  const before = await counts(fleet);
  const latencies: { ingester: number[]; follower: number[] } = { ingester: [], follower: [] };
  for (let i = 0; i < putsPerRound; i++) {
    const both = [sides.ingester.next(), sides.follower.next()] as const;
    const sentAt = performance.now();
    await put(writer, "a/k");
    const [atIngester, atFollower] = await Promise.all(both);
    latencies.ingester.push(atIngester - sentAt);
    latencies.follower.push(atFollower - sentAt);
  }
  const after = await counts(fleet);
  const ingesterMs = summarise(latencies.ingester).median;
  const followerMs = summarise(latencies.follower).median;

  await fleet.stopNats();
  await untilWatches(fleet, prefixes.length * replicas);
  const natsBegan = performance.now();
  await fleet.startNats();
  await untilWatches(fleet, prefixes.length);
  const natsMs = performance.now() - natsBegan;

  const killMs = await recover(writer, sides.follower, ingester, "SIGKILL");
  const killWatches = await fleet.watchesAtEtcd();
  await untilWatches(fleet, prefixes.length);
  // Of those who are left one watches now: it is told to go, and its clients with it.
  const successor = await fleet.ingester('["a/", "a0")');
  const [last] = fleet.proxies.filter((proxy) => proxy !== ingester && proxy !== successor);
  const arrivals = new Arrivals();
  if (last !== undefined) await watch(connect(last.port), "a", () => arrivals.note());
  const drainMs = await recover(writer, arrivals, successor, "SIGTERM");
  return {
    ...{ ingesterMs, followerMs, moreMs: followerMs - ingesterMs },
    framesPerEvent: (after.frames - before.frames) / putsPerRound,
    bytesPerEvent: (after.bytes - before.bytes) / putsPerRound,
    ...{ killMs, killWatches, natsMs, drainMs },
  };
}

/** Ends a replica. @returns how long events were late at most, at a client of another, while puts went on */
async function recover(
  writer: Channel,
  arrivals: Arrivals,
  victim: FleetProxy,
  signal: "SIGKILL" | "SIGTERM",
): Promise<number> {
  victim.program.signal(signal);
  let worstMs = 0;
  const until = performance.now() + 4_000;
  while (performance.now() < until) {
    const arrived = arrivals.next();
    const sentAt = performance.now();
    await put(writer, "a/k");
    worstMs = Math.max(worstMs, (await arrived) - sentAt);
  }
  await victim.program.exited;
  return worstMs;
}

async function counts(fleet: FabricFleet): Promise<{ frames: number; bytes: number }> {
  return {
    frames: await fleet.total("etcd_edge_fabric_frames_out_total"),
    bytes: await fleet.total("etcd_edge_fabric_frame_bytes_out_total"),
  };
}

/** Replicas that get their first clients all at once agree within a moment who watches what. */
async function steadyWatches(fleet: FabricFleet): Promise<number> {
  const until = performance.now() + steadyMs;
  let watches = await fleet.watchesAtEtcd();
  while (watches !== prefixes.length && performance.now() < until) {
    await delay(pollMs);
    watches = await fleet.watchesAtEtcd();
  }
  return watches;
}

async function untilWatches(fleet: FabricFleet, count: number): Promise<void> {
  while ((await fleet.watchesAtEtcd()) !== count) await delay(pollMs);
}

async function put(channel: Channel, key: string): Promise<void> {
  const name = Buffer.from(key);
  const value = Buffer.alloc(64, "v");
  const request = Buffer.concat([Buffer.of(0x0a, name.length), name, Buffer.of(0x12, value.length), value]);
  await channel.unaryCall("/etcdserverpb.KV/Put", [], request);
}

/** When events come, one for each put. */
class Arrivals {
  #waiting: ((atMs: number) => void)[] = [];

  next(): Promise<number> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  note(): void {
    for (const settle of this.#waiting.splice(0)) settle(performance.now());
  }
}

function toRows(alone: readonly number[], shared: readonly number[], figures: readonly Figures[]): Row[] {
  const of = (figure: keyof Figures) => summarise(figures.map((one) => one[figure]));
  const row = (what: string, side: string, unit: string, figure: keyof Figures): Row => ({
    ...{ what, side, unit, summary: of(figure) },
  });
  const watches = `watches at etcd for ${watchers.toLocaleString("en-US")} watchers of ${prefixes.length} ranges on ${replicas} replicas`;
  const worst = Math.max(...shared);
  return [
    { what: watches, side: "without NATS", unit: "", summary: summarise(alone) },
    {
      ...{ what: watches, side: "shared", unit: "", summary: summarise(shared) },
      ...{ goal: String(prefixes.length), met: worst === prefixes.length },
    },
    row("put to event, p50", "client of the ingester", "ms", "ingesterMs"),
    row("put to event, p50", "client of a follower", "ms", "followerMs"),
    {
      ...row("put to event, p50: what following adds", "client of a follower", "ms", "moreMs"),
      ...{ goal: "≤ 2 ms", met: of("moreMs").median <= 2 },
    },
    row("frames per event", "ingester", "", "framesPerEvent"),
    row("bytes on NATS per event of 64 bytes of value", "ingester", "B", "bytesPerEvent"),
    row("longest wait for an event after kill -9 of the ingester", "client of a follower", "ms", "killMs"),
    row("watches at etcd after that", "shared", "", "killWatches"),
    row(
      "longest wait for an event while the ingester drains and ends",
      "client of a follower",
      "ms",
      "drainMs",
    ),
    row(
      "from the start of NATS, away until all watched for themselves, to one watch of each range",
      "shared",
      "ms",
      "natsMs",
    ),
  ];
}
