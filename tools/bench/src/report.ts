import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import type { Summary } from "./stats.ts";

/** One figure of one side. */
export interface Row {
  /** What was measured: rows of one `what` are compared with each other. */
  readonly what: string;
  /** Who was measured. */
  readonly side: string;
  readonly unit: string;
  readonly summary: Summary;
  /** In words, as docs and issues have it: "≤ 8 µs". */
  readonly goal?: string;
  /** Whether the median keeps the goal; undefined where there is none for this side. */
  readonly met?: boolean;
}

/** A whole run of one suite. */
export interface Report {
  readonly suite: string;
  readonly rows: readonly Row[];
  /** How it was measured, sentence by sentence. */
  readonly notes: readonly string[];
  /** Whether something was seen that may never be, whatever the machine: the bench ends with 1 then. */
  readonly isBroken?: boolean;
}

function round(value: number): string {
  if (value < 0) return `−${round(-value)}`;
  if (Number.isInteger(value) && value < 1000) return String(value);
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** The table people read. */
export function toMarkdown(report: Report): string {
  const lines = report.rows.map(({ what, side, unit, summary, goal, met }) => {
    const spread = `±${Math.round(summary.spread * 100)} %`;
    const verdict = met === undefined ? "" : met ? " ✓" : " ✗";
    return `| ${what} | ${side} | ${round(summary.median)} ${unit} | ${spread} | ${goal ?? ""}${verdict} |`;
  });
  return [
    `# bench: ${report.suite}`,
    "",
    "| what | side | median | spread | goal |",
    "|---|---|---|---|---|",
    ...lines,
    "",
    ...report.notes.map((note) => `- ${note}`),
    "",
  ].join("\n");
}

/** Sentences about where and when the run took place; a machine that was busy with other things is told of. */
export function machineNotes(): string[] {
  const [first] = cpus();
  return [
    `${cpus().length} × ${first?.model.trim() ?? "unknown CPU"}, Node ${process.version}, ${new Date().toISOString()}.`,
    `Load average at the end: ${loadavg()
      .map((load) => load.toFixed(1))
      .join(", ")}.`,
  ];
}

/** Writes `<suite>.json` and `<suite>.md` into a folder. */
export async function writeReport(folder: string, report: Report): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${report.suite}.json`), `${JSON.stringify(report, undefined, 2)}\n`);
  await writeFile(join(folder, `${report.suite}.md`), toMarkdown(report));
}
