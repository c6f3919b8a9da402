import { once } from "node:events";
import { connect, createServer, type Server, Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { adoptSocket } from "./adopt-socket.ts";
import { BufferPool } from "./buffer-pool.ts";
import { Direction, largeBufferBytes } from "./direction.ts";
import { type Relay, startRelay } from "./relay.ts";

async function listen(
  onConnection: (socket: Socket) => void,
  pauseOnConnect = false,
): Promise<Server & { port: number }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect }, onConnection).listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  return Object.assign(server, { port: bound !== null && typeof bound === "object" ? bound.port : 0 });
}

/** client ── relay ── upstream: a pair of plain sockets with a relay between them. */
async function joined(): Promise<
  { client: Socket; upstream: Socket; relay: Relay; moved: number[] } & AsyncDisposable
> {
  const pool = new BufferPool();
  const upstreams = Promise.withResolvers<Socket>();
  const relays = Promise.withResolvers<Relay>();
  const moved = [0, 0];
  const far = await listen((socket) => upstreams.resolve(socket));
  const near = await listen((accepted) => {
    const fromClient = new Direction(pool, (count) => (moved[0] = (moved[0] ?? 0) + count));
    const fromUpstream = new Direction(pool, (count) => (moved[1] = (moved[1] ?? 0) + count));
    const upstream = connect({
      port: far.port,
      host: "127.0.0.1",
      allowHalfOpen: true,
      onread: fromUpstream.onread,
    });
    upstream.once("connect", () =>
      relays.resolve(startRelay({ accepted, upstream, fromClient, fromUpstream })),
    );
  }, true);
  const client = connect({ port: near.port, host: "127.0.0.1", allowHalfOpen: true });
  const relay = await relays.promise;
  const upstream = await upstreams.promise;
  return {
    client,
    upstream,
    relay,
    moved,
    async [Symbol.asyncDispose]() {
      client.destroy();
      upstream.destroy();
      await relay.closed;
      far.close();
      near.close();
      await Promise.all([once(far, "close"), once(near, "close")]);
    },
  };
}

/** Up to the end of the other side's sending. Not by iteration, which destroys the socket afterwards. */
async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "end");
  return Buffer.concat(chunks);
}

/** The value once it has not changed for a hundred turns of the event loop. */
async function untilSteady(read: () => number): Promise<number> {
  let last = -1;
  for (let turns = 0; turns < 100; turns += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    if (read() !== last) turns = 0;
    last = read();
  }
  return last;
}

function pattern(length: number): Buffer {
  const buffer = Buffer.alloc(length);
  for (let n = 0; n < length; n += 1) buffer[n] = (n * 31 + (n >> 8)) & 0xff;
  return buffer;
}

describe("adoptSocket", () => {
  it("works on this Node (when it does not, accepted sockets fall back to data events: look for another way)", async () => {
    const pool = new BufferPool();
    const direction = new Direction(pool, () => undefined);
    const adopted = Promise.withResolvers<Socket | undefined>();
    const server = await listen((socket) => adopted.resolve(adoptSocket(socket, direction.onread)), true);
    const client = connect(server.port, "127.0.0.1");
    const socket = await adopted.promise;
    expect(socket).toBeInstanceOf(Socket);
    client.destroy();
    socket?.destroy();
    server.close();
    await once(server, "close");
  });

  it("says no to a socket without a handle", () => {
    const direction = new Direction(new BufferPool(), () => undefined);
    expect(adoptSocket(new Socket(), direction.onread)).toBeUndefined();
  });
});

describe("startRelay", () => {
  it.each([1, 4096, 4097, largeBufferBytes, 3_000_001])(
    "moves %i bytes both ways unchanged",
    async (length) => {
      await using pair = await joined();
      const sent = pattern(length);
      pair.client.end(sent);
      pair.upstream.end(sent);
      const [atUpstream, atClient] = await Promise.all([readAll(pair.upstream), readAll(pair.client)]);
      expect(atUpstream.equals(sent)).toBe(true);
      expect(atClient.equals(sent)).toBe(true);
      await pair.relay.closed;
      expect(pair.moved).toEqual([length, length]);
    },
  );

  it("keeps many small messages in order", async () => {
    await using pair = await joined();
    const lines = Array.from({ length: 5_000 }, (_, n) => `message ${n}\n`);
    for (const line of lines) pair.client.write(line);
    pair.client.end();
    expect((await readAll(pair.upstream)).toString()).toBe(lines.join(""));
  });

  it("passes on the end of the client's sending and still brings the late answer", async () => {
    await using pair = await joined();
    pair.client.end("question");
    expect((await readAll(pair.upstream)).toString()).toBe("question");
    pair.upstream.end("late answer");
    expect((await readAll(pair.client)).toString()).toBe("late answer");
    await pair.relay.closed;
  });

  it("passes on the end of the upstream's sending and still takes the client's bytes", async () => {
    await using pair = await joined();
    pair.upstream.end("bye");
    expect((await readAll(pair.client)).toString()).toBe("bye");
    pair.client.end("one more thing");
    expect((await readAll(pair.upstream)).toString()).toBe("one more thing");
    await pair.relay.closed;
  });

  it.each(["client", "upstream"] as const)("passes on a reset by the %s", async (from) => {
    await using pair = await joined();
    const other = from === "client" ? pair.upstream : pair.client;
    other.write("x"); // so that both directions are known to be open
    pair[from].once("data", () => pair[from].resetAndDestroy());
    const [error] = await once(other, "error");
    expect(error).toMatchObject({ code: "ECONNRESET" });
    await pair.relay.closed;
  });

  it("stops reading while the receiver does not, and loses nothing", async () => {
    await using pair = await joined();
    pair.upstream.pause();
    const sent = pattern(64 * 1024 * 1024);
    pair.client.end(sent);
    const stuck = await untilSteady(() => pair.moved[0] ?? 0);
    expect(stuck).toBeLessThan(sent.length / 2); // what the kernel's buffers hold, and one of ours
    pair.upstream.resume();
    expect((await readAll(pair.upstream)).equals(sent)).toBe(true);
  });

  it("cuts both ends when destroyed, also twice", async () => {
    await using pair = await joined();
    pair.relay.destroy();
    pair.relay.destroy();
    await pair.relay.closed;
    await Promise.all([
      readAll(pair.client).catch(() => undefined),
      readAll(pair.upstream).catch(() => undefined),
    ]);
    expect(pair.client.readableEnded || pair.client.destroyed).toBe(true);
  });
});
