import { startChild } from "../child.ts";
import type { Memory } from "../memory.ts";
import { machineNotes, type Report, type Row } from "../report.ts";
import { type Summary, summarise } from "../stats.ts";
import type { BenchOptions } from "./bench-options.ts";

const RATE = 10_000;
const SAMPLES = 40;
const MEGABYTE = 1024 * 1024;

/** A steady load for `seconds`, with the memory of both ends watched: it must not grow. */
export async function benchSoak({ seconds }: BenchOptions): Promise<Report> {
  await using server = startChild("servers/transport.ts");
  const { port } = (await server.ask()) as { port: number };
  await using client = startChild("load/soak-worker.ts", [port, RATE].map(String));
  const trouble: string[] = [];
  const memory = { server: [] as Memory[], client: [] as Memory[] };
  const pauses: number[] = [];
  let counts = { ok: 0, cancelled: 0, failed: 0, failures: {} };
  for (let sample = 0; sample < SAMPLES; sample++) {
    await new Promise((resolve) => setTimeout(resolve, (seconds * 1000) / SAMPLES));
    const ofClient = (await client.ask("memory")) as ClientState & typeof counts;
    const ofServer = (await server.ask("memory")) as EndState;
    memory.server.push(ofServer);
    memory.client.push(ofClient);
    if (ofClient.failed > counts.failed) trouble.push(describeTrouble(sample, ofClient, ofServer));
    counts = ofClient;
    pauses.push(Math.max(ofClient.pauseMs, ofServer.pauseMs));
  }
  return {
    suite: "soak",
    rows: [
      ...memoryRows("server", memory.server),
      ...memoryRows("channel", memory.client),
      countRow("calls per second that ended well", (counts.ok + counts.cancelled) / seconds),
      { ...countRow("calls that failed", counts.failed), goal: "0", met: counts.failed === 0 },
    ],
    notes: [
      `${RATE} calls a second for ${seconds} s: 0 to 64 KiB, with deadlines, one in a hundred cancelled. Memory every ${seconds / SAMPLES} s.`,
      `${counts.ok} answered, ${counts.cancelled} cancelled, ${counts.failed} failed${counts.failed > 0 ? `: ${JSON.stringify(counts.failures)}` : ""}.`,
      ...trouble,
      `Longest pause of an event loop, of both ends: ${Math.max(...pauses)} ms.`,
      ...machineNotes(),
    ],
  };
}

interface EndState extends Memory {
  /** Longest pause of the event loop since the sample before. */
  readonly pauseMs: number;
  readonly callsStarted: number;
  readonly callsEnded: number;
}

interface ClientState extends EndState {
  /** Calls on connections, and calls waiting for one. */
  readonly active: number;
  readonly waiting: number;
}

/** Who held the calls when some failed: pauses speak of a starved machine, open calls on one side alone of that side. */
function describeTrouble(sample: number, client: ClientState, server: EndState): string {
  return (
    `Failures up to sample ${sample}: ${client.active} calls open and ${client.waiting} waiting at the client, ` +
    `${server.callsStarted - server.callsEnded} open at the server; of ${client.callsStarted} calls sent ` +
    `${server.callsStarted} had reached the server; longest pauses ${client.pauseMs} and ${server.pauseMs} ms.`
  );
}

function memoryRows(side: string, samples: readonly Memory[]): Row[] {
  const live = samples.map((sample) => sample.live / MEGABYTE);
  const rss = samples.map((sample) => sample.rss / MEGABYTE);
  const quarter = samples.length / 4;
  // The first quarter warms up; growth is what comes between the second and the last.
  const early = summarise(live.slice(quarter, 2 * quarter));
  const late = summarise(live.slice(-quarter));
  const growth: Summary = { median: late.median - early.median, spread: 0, values: live };
  return [
    { what: "memory in use, second quarter", side, unit: "MB", summary: early },
    { what: "memory in use, last quarter", side, unit: "MB", summary: late },
    { what: "growth", side, unit: "MB", summary: growth, goal: "≤ 2 MB", met: growth.median <= 2 },
    // A burst, for example when the machine is busy with other things, raises it for good: the allocator keeps pages.
    {
      what: "RSS, last quarter",
      side,
      unit: "MB",
      summary: { ...summarise(rss.slice(-quarter)), values: rss },
    },
  ];
}

function countRow(what: string, value: number): Row {
  return { what, side: "channel to server", unit: "", summary: summarise([value]) };
}
