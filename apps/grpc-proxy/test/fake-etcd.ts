import { createServer, type Server as NetServer, type Socket } from "node:net";
import { fromBinary, RangeRequestSchema } from "@etcd-edge/proto";
import { Server, type ServerCall, type ServerSink } from "@etcd-edge/transport";

/** An upstream that does what a test says, on a free port of 127.0.0.1. Disposing closes it with its connections. */
export interface FakeEtcd extends AsyncDisposable {
  readonly address: string;
  /** Every call it saw, looks at its health left out. */
  readonly calls: ServerCall[];
  /** Resolves once the second status probe has come: the answer to the first has been read then. */
  readonly probed: Promise<void>;
}

/**
 * Starts one. `onCall` returns the sink of a call; looks at its health are answered as a healthy member would, that leads
 * itself and is of this version. A Range is a call once its request is there: before, it may be such a look.
 */
export async function startFakeEtcd(
  onCall: (call: ServerCall) => Partial<ServerSink>,
  version = "3.6.0",
): Promise<FakeEtcd> {
  const calls: ServerCall[] = [];
  const probed = Promise.withResolvers<void>();
  let probes = 0;
  // header { member_id: 1 }, version, leader: 1
  const healthy = Buffer.from([
    0x0a,
    0x02,
    0x10,
    0x01,
    0x12,
    version.length,
    ...Buffer.from(version),
    0x20,
    0x01,
  ]);
  const server = new Server<unknown>({
    createData: () => undefined,
    onCall: (call) => {
      if (call.path === "/etcdserverpb.Maintenance/Status") {
        probes++;
        if (probes > 1) probed.resolve();
        return answerWith(healthy);
      }
      const begin = (): ServerSink => {
        calls.push(call);
        return { ...ignore, ...onCall(call) };
      };
      return call.path === "/etcdserverpb.KV/Range" ? unlessProbe(begin) : begin();
    },
  });
  const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
  return {
    address: `127.0.0.1:${port}`,
    calls,
    probed: probed.promise,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Answers the read of a health probe; any other goes to the sink that `begin` makes. */
function unlessProbe(begin: () => ServerSink): ServerSink {
  let sink: ServerSink | undefined;
  return {
    onMessage: (payload, call) => {
      const { key, serializable, countOnly } = fromBinary(RangeRequestSchema, payload);
      const isProbe = key.length === 1 && key[0] === 0 && serializable && countOnly;
      sink = isProbe ? answerWith(new Uint8Array(0)) : begin();
      sink.onMessage(payload, call);
    },
    onHalfClose: (call) => sink?.onHalfClose(call),
    onCancel: (reason, call) => sink?.onCancel(reason, call),
    onDrain: (call) => sink?.onDrain?.(call),
  };
}

/** A listener that hands every connection to the test. */
export async function startRawServer(
  onConnection: (socket: Socket) => void,
): Promise<{ address: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server: NetServer = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // its end is what tests look at
    onConnection(socket);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen({ host: "127.0.0.1", port: 0 }, resolve);
  await promise;
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return {
    address: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
}

/** A sink that answers a unary call with these bytes. */
export function answerWith(payload: Uint8Array): ServerSink {
  return { ...ignore, onHalfClose: (call) => call.respond(payload) };
}

const ignore: ServerSink = { onMessage: () => {}, onHalfClose: () => {}, onCancel: () => {} };
