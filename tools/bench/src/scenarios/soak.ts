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
  const memory = { server: [] as Memory[], client: [] as Memory[] };
  let counts = { ok: 0, cancelled: 0, failed: 0, failures: {} };
  for (let sample = 0; sample < SAMPLES; sample++) {
    await new Promise((resolve) => setTimeout(resolve, (seconds * 1000) / SAMPLES));
    const ofClient = (await client.ask("memory")) as Memory & typeof counts;
    memory.server.push((await server.ask("memory")) as Memory);
    memory.client.push(ofClient);
    counts = ofClient;
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
      ...machineNotes(),
    ],
  };
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
