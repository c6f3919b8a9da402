import { connect, type Socket } from "node:net";

/*
 * Child process: opens watches of one key over HTTP, one a connection, and counts what comes, without parsing it. Answers
 * each message of its parent with its counts. Arguments: port, kind (ndjson, sse, websocket, idle), connections.
 */
const [portText = "0", kind = "ndjson", connectionsText = "1"] = process.argv.slice(2);
const port = Number(portText);
const counts = { created: 0, refused: 0, events: 0, firstAtMs: 0, lastAtMs: 0 };
const body = `{"create_request":{"key":"${Buffer.from("bench").toString("base64")}"}}`;

const openings: Readonly<Record<string, string>> = {
  ndjson: `POST /v3/watch HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  sse: "GET /v3/watch?key=bench HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n",
  websocket:
    "GET /v3/watch HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  // One request, and then nothing.
  idle: "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
};
/** What shows that the watch is there. */
const signs: Readonly<Record<string, string>> = {
  ndjson: '"created":true',
  sse: "event: bookmark",
  websocket: '"created":true',
  idle: "200 OK",
};

const sign = signs[kind] ?? "";
const total = Number(connectionsText);
let next = 0;
/** Not all at once: a listen queue has its length. */
for (let i = 0; i < Math.min(100, total); i++) open();

function open(): void {
  if (next >= total) return;
  next++;
  const socket = connect(port, "127.0.0.1");
  socket.write(openings[kind] ?? "");
  let isCreated = false;
  let isUpgraded = kind !== "websocket";
  let start = "";
  let end: Buffer = Buffer.alloc(0);
  socket.on("data", (data: Buffer) => {
    if (isCreated) {
      // All get the same bytes, and in pieces of the same size: what is cut in two is so for most of them.
      count(Buffer.concat([end, data.subarray(0, mark.length - 1)]));
      count(data);
      end = Buffer.concat([end, data.subarray(-mark.length)]).subarray(1 - mark.length);
      return;
    }
    start += data.toString("latin1");
    if (!isUpgraded && start.includes("\r\n\r\n")) {
      isUpgraded = true;
      socket.write(maskedText(body));
    }
    if (!start.includes(sign)) return;
    isCreated = true;
    start = "";
    counts.created++;
    open();
  });
  socket.on("error", () => counts.refused++);
  if (kind === "websocket") answerPings(socket);
}

/** Every event has one, and nothing else has. */
const mark = Buffer.from('"kv":');

function count(data: Buffer): void {
  counts.lastAtMs = performance.timeOrigin + performance.now();
  if (counts.events === 0) counts.firstAtMs = counts.lastAtMs;
  for (let at = data.indexOf(mark); at >= 0; at = data.indexOf(mark, at + mark.length)) counts.events++;
}

function maskedText(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

/** Pings come every 30 s; a frame that is none of ours does as well. */
function answerPings(socket: Socket): void {
  setInterval(() => socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0])), 10_000).unref();
}

process.on("message", () => process.send?.(counts));
