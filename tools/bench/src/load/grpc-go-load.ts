import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { IndexingEncoder } from "./indexing-encoder.ts";
import type { LoadResult } from "./load-result.ts";

/** What the generator is to do. */
export interface GoLoadPlan {
  readonly port: number;
  readonly path: string;
  /** The message, without prefix. */
  readonly body: Buffer;
  /** Makes the calls differ: a random number below `count` is written as `width` digits at `offset` of each body. */
  readonly digits?: { readonly offset: number; readonly width: number; readonly count: number };
  readonly connections: number;
  readonly streams: number;
  readonly seconds: number;
}

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const WINDOW = 0x7fff_0000;
/** Behind the headers of the frame and of the message. */
const BODY_START = 9 + 5;

function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  payload.copy(bytes, 9);
  return bytes;
}

/** Keeps `streams` unary calls in flight on one connection, with headers as grpc-go sends them. Only counts answers. */
class LoadConnection {
  readonly socket: Socket;
  answered = 0;
  readonly #encoder = new IndexingEncoder();
  readonly #path: string;
  readonly #data: Buffer;
  readonly #digits: GoLoadPlan["digits"];
  #rest: Buffer = Buffer.alloc(0);
  #nextStreamId = 1;
  #isStopped = false;

  constructor(plan: GoLoadPlan) {
    this.#path = plan.path;
    this.#digits = plan.digits;
    const message = Buffer.alloc(5 + plan.body.length);
    message.writeUInt32BE(plan.body.length, 1);
    plan.body.copy(message, 5);
    this.#data = frame(0, 1, 0, message);
    this.socket = connect({ port: plan.port, host: "127.0.0.1", noDelay: true });
    const window = Buffer.alloc(4);
    window.writeUInt32BE(WINDOW);
    const settings = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]);
    this.socket.write(Buffer.concat([PREFACE, frame(4, 0, 0, settings), frame(8, 0, 0, window)]));
    this.socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#request(plan.streams);
  }

  stop(): void {
    this.#isStopped = true;
    this.socket.destroy();
  }

  #request(count: number): void {
    if (this.#isStopped) return;
    const frames: Buffer[] = [];
    for (let i = 0; i < count; i++) {
      const id = this.#nextStreamId;
      this.#nextStreamId += 2;
      const block = this.#encoder.encode([
        [":method", "POST"],
        [":scheme", "http"],
        [":path", this.#path],
        [":authority", "127.0.0.1:2379"],
        ["content-type", "application/grpc"],
        ["user-agent", "grpc-go/1.60.1"],
        ["te", "trailers"],
        ["grpc-timeout", `${4_900_000 + Math.floor(Math.random() * 99_999)}u`],
        ["token", "HuVAlnPEcBWgOPYm.123"],
      ]);
      const data = Buffer.from(this.#data);
      data.writeUInt32BE(id, 5);
      if (this.#digits !== undefined) {
        const { offset, width, count } = this.#digits;
        data.write(String(Math.floor(Math.random() * count)).padStart(width, "0"), BODY_START + offset);
      }
      frames.push(frame(1, 4, id, block), data);
    }
    this.socket.write(Buffer.concat(frames));
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    let done = 0;
    while (bytes.length - at >= 9) {
      const end = at + 9 + bytes.readUIntBE(at, 3);
      if (bytes.length < end) break;
      const type = bytes[at + 3];
      const flags = bytes[at + 4] ?? 0;
      if (type === 1 && (flags & 1) === 1) done++;
      if (type === 4 && (flags & 1) === 0) this.socket.write(frame(4, 1, 0, Buffer.alloc(0)));
      if (type === 6 && (flags & 1) === 0) this.socket.write(frame(6, 1, 0, bytes.subarray(at + 9, end)));
      // A whole answer may be followed by a reset without an error (RFC 9113, section 8.1).
      if (type === 7 || (type === 3 && bytes.readUInt32BE(at + 9) !== 0)) {
        const what = type === 3 ? "RST_STREAM" : "GOAWAY";
        throw new Error(`the server sent ${what}: ${bytes.subarray(at + 9, end).toString("hex")}`);
      }
      at = end;
    }
    this.#rest = bytes.subarray(at);
    this.answered += done;
    if (done > 0) this.#request(done);
  }
}

/** Runs the load in this process: start it in one of its own. */
export async function grpcGoLoad(plan: GoLoadPlan): Promise<LoadResult> {
  const started = performance.now();
  const connections = Array.from({ length: plan.connections }, () => new LoadConnection(plan));
  await new Promise((resolve) => setTimeout(resolve, plan.seconds * 1000));
  const requests = connections.reduce((sum, { answered }) => sum + answered, 0);
  const seconds = (performance.now() - started) / 1000;
  for (const connection of connections) connection.stop();
  return { requests, seconds };
}
