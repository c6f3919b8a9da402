import { Agent } from "node:http";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { create, fromBinary, RangeRequestSchema, RangeResponseSchema, toBinary } from "@etcd-edge/proto";
import { startEtcdCluster } from "@etcd-edge/testkit";
import { Channel } from "@etcd-edge/transport";
import { findChosenEtcd } from "../chosen-etcd.ts";
import type { DoorProcess } from "../faults/door-process.ts";
import { FaultFleet } from "../faults/fault-fleet.ts";
import { RangeHistory } from "../faults/range-history.ts";
import { type Findings, ResumingWatcher } from "../faults/resuming-watcher.ts";
import { type OpenWatch, watchesAt, watchesOver } from "../faults/watch-call.ts";
import { machineNotes, type Report, type Row } from "../report.ts";
import { summarise } from "../stats.ts";
import type { BenchOptions } from "./bench-options.ts";

const tiers = ["grpc-proxy", "grpc-proxy", "grpc-proxy", "http-gateway", "http-gateway"] as const;
const watchers = 2_000;
const ranges = ["a", "b", "c", "d", "e"];
const [firstRange = "a"] = ranges;
const putEveryMs = 100;
const sampleEveryMs = 50;
/** A fleet that has not recovered by then will not. */
const patienceMs = 60_000;

const counted = {
  creates: "etcd_edge_watch_upstream_creates_total",
  frames: "etcd_edge_fabric_frames_out_total",
  bytes: "etcd_edge_fabric_frame_bytes_out_total",
} as const;

/** Something that happens to a fleet. */
interface Fault {
  readonly name: string;
  /**
   * Settles when it is past: recovery counts from then on.
   * @param excuse whose clients cannot get anything meanwhile
   */
  act(fleet: FaultFleet, excuse: (door: DoorProcess) => void): Promise<void>;
}

const faults: readonly Fault[] = [
  { name: "nothing", act: () => delay(10_000) },
  {
    name: "kill -9 of the ingester, started again after 3 s",
    act: async (fleet) => {
      const victim = await fleet.ingester(rangeText(firstRange));
      await victim.end("SIGKILL", Object.values(counted));
      await delay(3_000);
      await victim.start();
    },
  },
  {
    name: "the ingester stands still for 5 s",
    act: async (fleet, excuse) => {
      const victim = await fleet.ingester(rangeText(firstRange));
      excuse(victim);
      victim.signal("SIGSTOP");
      await delay(5_000);
      victim.signal("SIGCONT");
    },
  },
  {
    name: "NATS is started anew",
    act: async (fleet) => {
      await fleet.stopNats();
      await fleet.startNats();
    },
  },
  {
    name: "NATS is away for 60 s",
    act: async (fleet) => {
      await fleet.stopNats();
      await delay(60_000);
      await fleet.startNats();
    },
  },
  ...(["dropPercent", "duplicatePercent", "reorderPercent"] as const).map((what) => ({
    name: `5 % of frames ${{ dropPercent: "lost", duplicatePercent: "twice", reorderPercent: "late" }[what]}, 20 s`,
    act: async (fleet: FaultFleet) => {
      fleet.relay.setWeather({ [what]: 5 });
      await delay(20_000);
      fleet.relay.setWeather({});
    },
  })),
  { name: "Redis is flushed", act: (fleet) => tellRedis(fleet.redisPort, "FLUSHALL") },
  {
    name: "NATS, then Redis away, back in that order",
    act: async (fleet) => {
      await fleet.stopNats();
      await delay(3_000);
      await fleet.stopRedis();
      await delay(3_000);
      await fleet.startNats();
      await delay(3_000);
      await fleet.startRedis();
    },
  },
  {
    name: "Redis, then NATS away, back in that order",
    act: async (fleet) => {
      await fleet.stopRedis();
      await delay(3_000);
      await fleet.stopNats();
      await delay(3_000);
      await fleet.startRedis();
      await delay(3_000);
      await fleet.startNats();
    },
  },
  {
    name: "all replicas restarted by SIGTERM, one by one",
    act: async (fleet) => {
      for (const door of fleet.doors) {
        await door.end("SIGTERM", Object.values(counted));
        await door.start();
        await delay(2_000);
      }
    },
  },
];

/** What one fault did. */
interface Outcome {
  readonly name: string;
  readonly worstMs: number;
  readonly mostWatches: number;
  readonly recoveredMs: number;
  readonly creates: number;
  readonly resumes: number;
  readonly events: number;
  readonly frames: number;
  readonly bytes: number;
  readonly failedReads: number;
}

/** Faults, one after the other, under watchers whose every event is checked. */
export async function benchFabricFaults(options: BenchOptions): Promise<Report> {
  const binary = await findChosenEtcd(options.etcd);
  await using cluster = await startEtcdCluster({ binary });
  await using fleet = await FaultFleet.start(cluster, tiers);
  await using history = new RangeHistory(cluster.endpoints[0] ?? "", ranges);
  await using load = await Load.start(fleet, history);
  await load.isQuiet();
  const outcomes: Outcome[] = [];
  for (const fault of faults) outcomes.push(await load.suffer(fault));
  const missing = await load.finish();
  const { findings } = load;
  return {
    suite: "fabric-faults",
    rows: toRows(outcomes, findings, missing),
    notes: [
      `etcd ${binary.version}, one member; ${tiers.join(", ")}, NATS behind a relay that knows its messages, and Redis, on one machine; ${watchers} watchers of ${ranges.length} ranges spread over the five, a put every ${putEveryMs} ms. Clients whose stream ends go on at the same door from their next revision.`,
      "Every event is compared: it must be the next one of its range. Longest wait is from the put being sent to its event being there, at clients that did not lose their stream. Watches at etcd are by its own count, every 50 ms. Recovery is from the end of the fault to one watch of each range that lasts a second.",
      "Reads are pages at one revision, ten a second, through the proxies in turn.",
      ...findings.texts,
      ...machineNotes(),
    ],
  };
}

/** Watchers, a writer and a reader, for as long as the run takes. */
class Load implements AsyncDisposable {
  readonly findings: Findings = { events: 0, wrong: 0, resumes: 0, worstMs: 0, texts: [] };
  readonly #fleet: FaultFleet;
  readonly #history: RangeHistory;
  readonly #watchers: ResumingWatcher[] = [];
  readonly #at = new Map<DoorProcess, ResumingWatcher[]>();
  readonly #channels: Channel[] = [];
  readonly #agent: Agent = new Agent({ maxSockets: watchers });
  readonly #working: Promise<void>[] = [];
  #failedReads = 0;
  #isWriting = true;

  private constructor(fleet: FaultFleet, history: RangeHistory) {
    this.#fleet = fleet;
    this.#history = history;
  }

  static async start(fleet: FaultFleet, history: RangeHistory): Promise<Load> {
    const load = new Load(fleet, history);
    for (let i = 0; i < ranges.length; i++) await history.put();
    const opens = fleet.doors.map(({ tier, port }): OpenWatch => {
      if (tier === "http-gateway") return watchesAt(port, load.#agent);
      const channel = new Channel({ endpoint: { host: "127.0.0.1", port } });
      load.#channels.push(channel);
      return watchesOver(channel);
    });
    for (let i = 0; i < watchers; i++) {
      const door = fleet.doors[i % opens.length];
      const open = opens[i % opens.length];
      const range = ranges[Math.floor(i / opens.length) % ranges.length];
      if (door === undefined || open === undefined || range === undefined) continue;
      const watcher = new ResumingWatcher(range, open, history, load.findings);
      load.#watchers.push(watcher);
      load.#at.set(door, [...(load.#at.get(door) ?? []), watcher]);
    }
    await Promise.all(load.#watchers.map(({ created }) => created));
    load.#working.push(load.#write(), load.#read());
    return load;
  }

  /** Waits until etcd has one watch of each range, and still has a second later. @returns how long that took */
  async isQuiet(): Promise<number> {
    const began = performance.now();
    let since: number | undefined;
    while (performance.now() - began < patienceMs) {
      const now = performance.now();
      if ((await this.#fleet.watchesAtEtcd()) !== ranges.length) since = undefined;
      else since ??= now;
      if (since !== undefined && now - since >= 1_000) return Math.round(since - began);
      await delay(sampleEveryMs);
    }
    return Number.NaN;
  }

  async suffer({ name, act }: Fault): Promise<Outcome> {
    const before = await this.#counts();
    this.findings.worstMs = 0;
    let mostWatches = 0;
    let isOver = false;
    const sampling = (async () => {
      while (!isOver) {
        mostWatches = Math.max(mostWatches, await this.#fleet.watchesAtEtcd());
        await delay(sampleEveryMs);
      }
    })();
    await act(this.#fleet, (door) => {
      for (const watcher of this.#at.get(door) ?? []) watcher.excuse();
    });
    const recoveredMs = await this.isQuiet();
    await this.#hasAll();
    isOver = true;
    await sampling;
    const after = await this.#counts();
    const difference = (what: keyof typeof after): number => after[what] - before[what];
    return {
      ...{ name, worstMs: this.findings.worstMs, mostWatches, recoveredMs },
      ...{ creates: difference("creates"), resumes: difference("resumes"), events: difference("events") },
      ...{ frames: difference("frames"), bytes: difference("bytes"), failedReads: difference("failedReads") },
    };
  }

  /** @returns how many events have not come */
  async finish(): Promise<number> {
    this.#isWriting = false;
    await Promise.all(this.#working);
    return await this.#hasAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isWriting = false;
    await Promise.all(this.#working);
    for (const watcher of this.#watchers) watcher.close();
    this.#agent.destroy();
    for (const channel of this.#channels) await channel[Symbol.asyncDispose]();
  }

  /** Waits until nobody is more than the present put behind. */
  async #hasAll(): Promise<number> {
    const until = performance.now() + patienceMs;
    for (;;) {
      const slack = this.#isWriting ? 1 : 0;
      const missing = this.#watchers.reduce((sum, one) => sum + Math.max(0, one.missing - slack), 0);
      if (missing === 0 || performance.now() > until) return missing;
      await delay(sampleEveryMs);
    }
  }

  async #counts() {
    const fleet = this.#fleet;
    return {
      creates: await fleet.total(counted.creates),
      frames: await fleet.total(counted.frames),
      bytes: await fleet.total(counted.bytes),
      resumes: this.findings.resumes,
      events: [...this.#history.events.values()].reduce((sum, { length }) => sum + length, 0),
      failedReads: this.#failedReads,
    };
  }

  async #write(): Promise<void> {
    while (this.#isWriting) await Promise.all([this.#history.put(), delay(putEveryMs)]);
  }

  async #read(): Promise<void> {
    for (let turn = 0; this.#isWriting; turn++) {
      const channel = this.#channels[turn % this.#channels.length];
      const revision = this.#history.events.get(firstRange)?.at(-1);
      const [key, rangeEnd] = [Buffer.from(`${firstRange}/`), Buffer.from(`${firstRange}0`)];
      const asked = create(RangeRequestSchema, { key, rangeEnd, limit: 1n, ...(revision && { revision }) });
      const reading = channel
        ?.unaryCall("/etcdserverpb.KV/Range", [], toBinary(RangeRequestSchema, asked), {
          deadlineAt: performance.now() + 2_000,
        })
        .then(
          ({ payload }) => fromBinary(RangeResponseSchema, payload).kvs[0]?.modRevision === revision,
          () => false,
        );
      const [isRight] = await Promise.all([reading, delay(putEveryMs)]);
      if (isRight !== true) this.#failedReads++;
    }
  }
}

function rangeText(range: string): string {
  return `["${range}/", "${range}0")`;
}

function tellRedis(port: number, command: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host: "127.0.0.1", port }, () => socket.write(`${command}\r\n`));
  socket.on("error", reject);
  socket.once("data", () => {
    socket.destroy();
    resolve();
  });
  return promise;
}

function toRows(outcomes: readonly Outcome[], findings: Findings, missing: number): Row[] {
  const count = (what: string, side: string, value: number, unit = ""): Row => ({
    ...{ what, side, unit, summary: summarise([value]) },
  });
  const [calm] = outcomes;
  const perEvent = (of: "frames" | "bytes"): number => (calm?.[of] ?? 0) / (calm?.events ?? 1);
  return [
    {
      ...count("events out of order, twice or missing in between", "all", findings.wrong),
      goal: "0",
      met: findings.wrong === 0,
    },
    { ...count("events missing at the end", "all", missing), goal: "0", met: missing === 0 },
    count("events compared", "all", findings.events),
    count("frames per event", "nothing", perEvent("frames")),
    count("bytes on NATS per event of 64 bytes of value", "nothing", perEvent("bytes"), "B"),
    ...outcomes.map(({ name, worstMs }) => count("longest wait for an event", name, worstMs, "ms")),
    ...outcomes.map(({ name, mostWatches }) => count("most watches at etcd", name, mostWatches)),
    ...outcomes.map(({ name, recoveredMs }) => ({
      ...count("to one watch of each range", name, recoveredMs, "ms"),
      ...{ goal: "≤ 2,000 ms", met: recoveredMs <= 2_000 },
    })),
    ...outcomes.map(({ name, creates }) => count("watches opened at etcd", name, creates)),
    ...outcomes.map(({ name, resumes }) => count("streams that clients opened again", name, resumes)),
    ...outcomes.map(({ name, failedReads }) => count("reads that failed", name, failedReads)),
  ];
}
