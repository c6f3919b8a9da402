import type { History } from "../history/history.ts";
import type { Operation } from "../history/operation.ts";
import type { WatchMessage, WatchRecord } from "../history/watch-record.ts";
import { describeMessage, describeOperation, describeWatch } from "../validators/describe.ts";
import type { Violation } from "../validators/violation.ts";

const width = 1400;
const gutter = 150;
const laneHeight = 26;
/** Around what is named, so that it is seen beside what it follows from. */
const marginMs = 60;
const maxOperations = 400;

/** A picture of the time around a violation: a lane for each client and watch, red what shows it, faults as a band. */
export function renderSvg(history: History, violation: Violation): string {
  const named = new Set(violation.operations);
  const watches = history.watches.filter(({ id }) => violation.watches?.includes(id));
  const culprits = history.operations.filter(({ id }) => named.has(id));
  const at = violation.at ?? history.endedAt;
  const times = [at, ...culprits.flatMap((one) => [one.invokedAt, one.returnedAt])];
  const from = Math.min(...times) - marginMs;
  const to = Math.max(...times) + marginMs;
  const x = (time: number): number =>
    gutter + ((Math.min(Math.max(time, from), to) - from) / (to - from)) * (width - gutter - 20);
  const near = history.operations
    .filter((one) => one.returnedAt >= from && one.invokedAt <= to)
    .slice(0, maxOperations);
  const clients = [...new Set(near.map(({ client }) => client))].sort((a, b) => a - b);
  const lanes = [
    ...clients.map((client) => ({
      name: `client ${client}`,
      draw: (y: number) =>
        near.filter((one) => one.client === client).map((one) => operationBox(one, named.has(one.id), x, y)),
    })),
    ...watches.map((watch) => ({
      name: `watch ${watch.id}`,
      draw: (y: number) => watchMarks(watch, from, to, at, x, y),
    })),
  ];
  const height = 70 + lanes.length * laneHeight;
  const body = lanes.flatMap(({ name, draw }, i) => {
    const y = 60 + i * laneHeight;
    return [
      `<text x="8" y="${y + 14}">${escapeXml(name)}</text>`,
      `<line x1="${gutter}" x2="${width - 20}" y1="${y + 10}" y2="${y + 10}" stroke="#ddd"/>`,
      ...draw(y),
    ];
  });
  const bands = history.disturbances
    .filter(([begin, end]) => end >= from && begin <= to)
    .map(([begin, end]) => {
      const left = x(begin);
      return `<rect x="${left}" y="50" width="${Math.max(1, x(end) - left)}" height="${height - 55}" fill="#fd8" opacity="0.35"><title>a fault</title></rect>`;
    });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    `<text x="8" y="18" font-size="14">${escapeXml(`${violation.promise}: ${violation.text}`)}</text>`,
    `<text x="8" y="36">${from.toFixed(0)} ms to ${to.toFixed(0)} ms of the run; hover for what was said</text>`,
    ...bands,
    ...body,
    "</svg>",
    "",
  ].join("\n");
}

function operationBox(one: Operation, isNamed: boolean, x: (time: number) => number, y: number): string {
  const left = x(one.invokedAt);
  const wide = Math.max(2, x(one.returnedAt) - left);
  const fill = isNamed ? "#d33" : one.outcome.t === "answered" ? "#9bd" : "#ccc";
  return `<rect x="${left.toFixed(1)}" y="${y + 3}" width="${wide.toFixed(1)}" height="14" fill="${fill}" stroke="#555"><title>${escapeXml(describeOperation(one))}</title></rect>`;
}

const colours: Readonly<Record<WatchMessage["t"], string>> = {
  created: "#393",
  events: "#36c",
  progress: "#999",
  canceled: "#a3a",
  lost: "#000",
};

function watchMarks(
  watch: WatchRecord,
  from: number,
  to: number,
  at: number,
  x: (time: number) => number,
  y: number,
): readonly string[] {
  const title = `<rect x="${gutter}" y="${y}" width="4" height="20" fill="#eee"><title>${escapeXml(describeWatch(watch))}</title></rect>`;
  const marks = watch.messages
    .filter((message) => message.at >= from && message.at <= to)
    .map((message) => {
      const fill = message.at === at ? "#d33" : colours[message.t];
      return `<circle cx="${x(message.at).toFixed(1)}" cy="${y + 10}" r="5" fill="${fill}"><title>${escapeXml(describeMessage(message))}</title></circle>`;
    });
  return [title, ...marks];
}

function escapeXml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll("\0", "\\0");
}
