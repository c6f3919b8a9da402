import { Buffer } from "node:buffer";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { HpackDecoder } from "../../src/hpack/decoder.ts";
import { readU24, readU31 } from "../../src/http2/bytes.ts";
import { CLIENT_PREFACE, ErrorCode, FrameType } from "../../src/http2/constants.ts";
import { settings } from "./frames.ts";

/** A frame that a scripted peer received. */
export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
  /** Of a header block in one frame. */
  readonly fields?: Readonly<Record<string, string>>;
}

/** One end of a connection that sends what a test says and keeps what it receives. Disposing destroys the socket. */
export class RawPeer implements AsyncDisposable {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  /** Bytes received, not cut into frames while `expectsPreface`. */
  #buffer: Buffer = Buffer.alloc(0);
  #preface: number;
  #isClosed = false;
  readonly #decoder = new HpackDecoder();
  readonly #watchers = new Set<() => void>();

  constructor(socket: Socket, expectsPreface: boolean) {
    this.socket = socket;
    this.#preface = expectsPreface ? CLIENT_PREFACE.length : 0;
    socket.on("error", () => {
      // A peer that closes on us is what many tests are about.
    });
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("close", () => {
      this.#isClosed = true;
      this.#notify();
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** First frame received, ever, that satisfies the condition. Rejects when the connection closes without one. */
  async frame(what: string, condition: (frame: RawFrame) => boolean): Promise<RawFrame> {
    for (;;) {
      const found = this.frames.find(condition);
      if (found !== undefined) return found;
      if (this.#isClosed) throw new Error(`connection closed before ${what}; got ${this.#summary()}`);
      await this.#change();
    }
  }

  /** First frame of a type, on a stream if one is given. */
  frameOf(type: number, streamId?: number): Promise<RawFrame> {
    return this.frame(
      `type ${type} on stream ${streamId ?? "any"}`,
      (frame) => frame.type === type && (streamId === undefined || frame.streamId === streamId),
    );
  }

  /** Waits until `count` frames satisfy the condition. */
  async count(count: number, condition: (frame: RawFrame) => boolean): Promise<void> {
    while (this.frames.filter(condition).length < count) {
      if (this.#isClosed) throw new Error(`connection closed; got ${this.#summary()}`);
      await this.#change();
    }
  }

  /** Headers with END_STREAM on a stream: the end of an answer. */
  trailers(streamId: number): Promise<RawFrame> {
    return this.frame(
      `trailers of ${streamId}`,
      (frame) => frame.type === FrameType.headers && frame.streamId === streamId && (frame.flags & 1) === 1,
    );
  }

  /** The code of GOAWAY other than NO_ERROR. */
  async goawayCode(): Promise<number> {
    const frame = await this.frame(
      "GOAWAY",
      ({ type, payload }) => type === FrameType.goaway && payload.readUInt32BE(4) !== ErrorCode.noError,
    );
    return frame.payload.readUInt32BE(4);
  }

  async closed(): Promise<void> {
    while (!this.#isClosed) await this.#change();
  }

  /** All gRPC bytes of a stream. */
  body(streamId: number): Buffer {
    return Buffer.concat(
      this.frames
        .filter((frame) => frame.type === FrameType.data && frame.streamId === streamId)
        .map((frame) => frame.payload),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.closed();
  }

  #read(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    if (this.#preface > 0) {
      if (this.#buffer.length < this.#preface) return;
      this.#buffer = this.#buffer.subarray(this.#preface);
      this.#preface = 0;
    }
    while (this.#buffer.length >= 9) {
      const end = 9 + readU24(this.#buffer, 0);
      if (this.#buffer.length < end) break;
      this.#add(this.#buffer.subarray(0, end));
      this.#buffer = this.#buffer.subarray(end);
    }
    this.#notify();
  }

  #add(bytes: Buffer): void {
    const frame = {
      type: bytes[3] ?? 0,
      flags: bytes[4] ?? 0,
      streamId: readU31(bytes, 5),
      payload: Buffer.from(bytes.subarray(9)),
    };
    if (frame.type !== FrameType.headers || (frame.flags & 4) === 0) {
      this.frames.push(frame);
      return;
    }
    const fields: Record<string, string> = {};
    this.#decoder.decode(frame.payload, 0, frame.payload.length, {
      add: ({ name, value }) => {
        fields[name] = value;
      },
    });
    this.frames.push({ ...frame, fields });
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#watchers.delete(done);
        resolve();
      };
      this.#watchers.add(done);
    });
  }

  #notify(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  #summary(): string {
    return JSON.stringify(this.frames.map(({ type, flags, streamId }) => ({ type, flags, streamId })));
  }
}

/** Connects to a server and, unless told otherwise, sends the preface and SETTINGS. */
export async function connectRaw(
  port: number,
  entries: readonly (readonly [id: number, value: number])[] | "nothing" = [],
): Promise<RawPeer> {
  const socket = connect({ port, host: "127.0.0.1" });
  await once(socket, "connect");
  const peer = new RawPeer(socket, false);
  if (entries !== "nothing") peer.send(CLIENT_PREFACE, settings(...entries));
  return peer;
}

/** A server that a test scripts: each connection becomes a peer, SETTINGS already sent. */
export class RawServer implements AsyncDisposable {
  readonly peers: RawPeer[] = [];
  readonly #server: Server;
  readonly #waiting: ((peer: RawPeer) => void)[] = [];
  #taken = 0;

  private constructor(server: Server, entries: readonly (readonly [id: number, value: number])[]) {
    this.#server = server;
    server.on("connection", (socket: Socket) => {
      const peer = new RawPeer(socket, true);
      peer.send(settings(...entries));
      this.peers.push(peer);
      this.#waiting.shift()?.(peer);
    });
  }

  static async listen(
    entries: readonly (readonly [id: number, value: number])[] = [],
    port = 0,
  ): Promise<RawServer> {
    const server = createServer();
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return new RawServer(server, entries);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The next connection, in order of arrival. */
  async next(): Promise<RawPeer> {
    const known = this.peers[this.#taken++];
    return known ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const peer of this.peers) await peer[Symbol.asyncDispose]();
    await closed;
  }
}
