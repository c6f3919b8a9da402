import { join } from "node:path";
import {
  type EtcdCluster,
  findFreePorts,
  moveLeader,
  startEtcdCluster,
  startProgram,
} from "@etcd-edge/testkit";
import { Channel, type ClientCall } from "@etcd-edge/transport";
import { findChosenEtcd } from "../chosen-etcd.ts";
import { cpuSeconds } from "../process-cpu.ts";
import { machineNotes, type Report, type Row } from "../report.ts";
import { summarise } from "../stats.ts";
import type { BenchOptions } from "./bench-options.ts";

const LEASES = 20_000;
const TTL_SECONDS = 20;
const STREAMS = 40;
const CONNECTIONS = 4;
/** When the leader stops, and for how long. */
const STOP_AT_MS = 15_000;
const STOP_MS = 5_000;
const RUN_MS = 45_000;
const PACE_MS = 10;
const root = join(import.meta.dirname, "..", "..", "..", "..");
const keepAlivePath = "/etcdserverpb.Lease/LeaseKeepAlive";

/**
 * 20,000 leases of 20 s through one proxy, each renewed every 20/3 s as Go's client does it, while the leader is stopped
 * for 5 s. It takes 45 s, whatever `--seconds` says: that is what the leases take.
 */
export async function benchLeases(options: BenchOptions): Promise<Report> {
  const binary = await findChosenEtcd(options.etcd);
  await using cluster = await startEtcdCluster({ binary, members: 3 });
  const [port = 0] = await findFreePorts(1);
  await using proxy = startProgram(process.execPath, [
    join(root, "apps", "grpc-proxy", "src", "main.ts"),
    "start",
    `--listen-addr=127.0.0.1:${port}`,
    `--endpoints=${cluster.endpoints.join(",")}`,
  ]);
  await proxy.waitForLine("started gRPC proxy");
  await using stack = new AsyncDisposableStack();
  const channels = Array.from({ length: CONNECTIONS }, () =>
    stack.use(new Channel({ endpoint: { host: "127.0.0.1", port } })),
  );
  const ids = await grantAll(channels);
  const clients = Array.from({ length: STREAMS }, (_, i) => new Client(channels[i % CONNECTIONS] as Channel));
  const [leader] = cluster.members;
  if (leader === undefined) throw new Error("three members");
  await moveLeader(cluster, leader);

  const cpuBefore = await cpuSeconds(proxy.pid);
  const began = performance.now();
  const everyMs = (TTL_SECONDS * 1000) / 3;
  let sent = 0;
  let maxStreams = 0;
  let isStopped = false;
  for (let at = 0; at < RUN_MS; at = performance.now() - began) {
    if (!isStopped && at > STOP_AT_MS && at < STOP_AT_MS + STOP_MS) {
      leader.stop();
      isStopped = true;
    } else if (isStopped && at > STOP_AT_MS + STOP_MS) {
      leader.resume();
      isStopped = false;
    }
    for (; sent * everyMs < at * LEASES; sent++) clients[sent % STREAMS]?.renew(ids[sent % LEASES] ?? 0n);
    if (sent % 50 === 0) maxStreams = Math.max(maxStreams, await metric(port, "etcd_edge_lease_streams"));
    await new Promise((resolve) => setTimeout(resolve, PACE_MS));
  }
  const cpu = (await cpuSeconds(proxy.pid)) - cpuBefore;
  maxStreams = Math.max(maxStreams, await metric(port, "etcd_edge_lease_streams"));
  const alive = await countLeases(cluster);
  const answered = clients.reduce((sum, { replies }) => sum + replies, 0);
  return {
    suite: "leases",
    rows: [
      row("leases lost", LEASES - alive, "", "0", alive === LEASES),
      row(
        "client streams that ended",
        clients.filter(({ isOver }) => isOver).length,
        "",
        "0",
        clients.every(({ isOver }) => !isOver),
      ),
      row("streams toward etcd at most", maxStreams, "", "≤ 8", maxStreams <= 8),
      row("renewals answered", answered / (RUN_MS / 1000), "/s"),
      row(
        "longest time without an answer on a stream",
        Math.max(...clients.map(({ longestMs }) => longestMs)),
        "ms",
      ),
      row("CPU of the proxy per renewal", (cpu / answered) * 1e6, "µs"),
    ],
    notes: [
      `etcd ${binary.version}, three members; ${LEASES} leases of ${TTL_SECONDS} s on ${STREAMS} client streams over ${CONNECTIONS} connections, each renewed every ${(everyMs / 1000).toFixed(1)} s for ${RUN_MS / 1000} s.`,
      `The leader was stopped (SIGSTOP) at ${STOP_AT_MS / 1000} s for ${STOP_MS / 1000} s.`,
      ...machineNotes(),
    ],
  };
}

/** One client stream; counts what comes back. */
class Client {
  replies = 0;
  isOver = false;
  longestMs = 0;
  readonly #call: ClientCall;
  #lastMs = performance.now();

  constructor(channel: Channel) {
    this.#call = channel.open(
      keepAlivePath,
      [],
      {},
      {
        onMessage: () => {
          this.replies++;
          const now = performance.now();
          this.longestMs = Math.max(this.longestMs, now - this.#lastMs);
          this.#lastMs = now;
        },
        onEnd: () => {
          this.isOver = true;
        },
      },
    );
  }

  renew(id: bigint): void {
    if (this.replies === 0) this.#lastMs = performance.now();
    this.#call.sendMessage(Uint8Array.from([0x08, ...varint(id)]));
  }
}

async function grantAll(channels: readonly Channel[]): Promise<bigint[]> {
  const request = Uint8Array.from([0x08, TTL_SECONDS]);
  const ids: bigint[] = [];
  const atOnce = 200;
  while (ids.length < LEASES) {
    const batch = Array.from({ length: atOnce }, async (_, i) => {
      const channel = channels[i % channels.length] as Channel;
      const { payload } = await channel.unaryCall("/etcdserverpb.Lease/LeaseGrant", [], request);
      return idIn(payload);
    });
    ids.push(...(await Promise.all(batch)));
  }
  return ids;
}

/** Field 2, the id, of a LeaseGrantResponse: behind the header, which is field 1 and short. */
function idIn(payload: Uint8Array): bigint {
  const start = 2 + (payload[1] ?? 0) + 1;
  let id = 0n;
  for (let i = start, shift = 0n; ; i++, shift += 7n) {
    const byte = payload[i] ?? 0;
    id |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return id;
  }
}

async function countLeases(cluster: EtcdCluster): Promise<number> {
  const { stdout } = await cluster.etcdctl(["lease", "list"]);
  return Number(/found (\d+) leases/.exec(stdout)?.[1] ?? 0);
}

async function metric(port: number, name: string): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${port}/proxy/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(page)?.[1] ?? Number.NaN);
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

function row(what: string, value: number, unit: string, goal?: string, met?: boolean): Row {
  const base = { what, side: "etcd-edge grpc-proxy", unit, summary: summarise([value]) };
  return { ...base, ...(goal === undefined ? {} : { goal }), ...(met === undefined ? {} : { met }) };
}
