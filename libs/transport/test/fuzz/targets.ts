import { Buffer } from "node:buffer";
import { type FuzzTarget, Random, type Signature } from "@etcd-edge/testkit";
import { type CallOwner, ClientCall } from "../../src/channel/client-call.ts";
import { ClientConnection } from "../../src/channel/client-connection.ts";
import { createCounters, type TransportCounters } from "../../src/counters.ts";
import { type ConnectionLimits, serverLimits } from "../../src/http2/limits.ts";
import { isGrpcContentType, ServerConnection } from "../../src/server/server-connection.ts";
import { checkOutput } from "./check-output.ts";
import { createFakeSocket } from "./fake-socket.ts";
import { generate, plausibleFrame } from "./generate.ts";

type Run = FuzzTarget["run"];

const limits: ConnectionLimits = {
  ...serverLimits,
  maxHeaderListBytes: 2000,
  maxHeaderBlockBytes: 4000,
  maxReceiveMessageBytes: 5000,
  maxHeldBytes: 3000,
  maxQueuedBytes: 10_000,
};
const keepalive = { timeMs: 0, timeoutMs: 1000, withoutStreams: false };

function assert(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** Cuts the input at places that depend on it alone, so that a kept input behaves the same again. */
function feed(input: Buffer, read: (chunk: Buffer) => void): void {
  const random = new Random(input.length * 31 + (input.at(-1) ?? 0));
  for (let at = 0; at < input.length; ) {
    const size = 1 + random.below(random.chance(30) ? 12 : 4000);
    read(Buffer.from(input.subarray(at, at + size)));
    at += size;
  }
}

function describe(counters: TransportCounters, state: string): Signature {
  const names = Object.entries(counters).map(([name, count]) => `${name}:${Math.min(3, count)}`);
  return `${names.filter((text) => !text.endsWith(":0")).join(" ")} ${state}`;
}

/** A server connection whose handlers do a bit of everything, depending on what they get. */
const runServer: Run = (input) => {
  const counters = createCounters();
  const { socket, written } = createFakeSocket();
  const live = new Set<unknown>();
  const connection = new ServerConnection<undefined>(socket, {
    limits,
    keepalive,
    counters,
    settings: [],
    maxConcurrentStreams: 3,
    pingPolicy: { minTimeMs: 0, permitWithoutStreams: true },
    acceptRequest: (method, type) => method === "POST" && isGrpcContentType(type),
    createData: () => undefined,
    onHandlerError: (error) => {
      throw error;
    },
    onClosed: () => {},
    onCall: (call) => {
      live.add(call);
      return {
        onMessage: (payload) => {
          const choice = payload[0] ?? 0;
          if (choice % 5 === 0) call.pause();
          else if (choice % 7 === 0) call.respond(payload);
          else if (choice % 11 === 0) call.reset(8);
          else call.sendMessage(choice % 3 === 0 ? Buffer.alloc(20_000) : payload);
        },
        onDrain: () => call.resume(),
        onHalfClose: () => call.end({ code: 0, metadata: ["a", "b"] }),
        onCancel: () => assert(live.delete(call), "a call was cancelled twice"),
      };
    },
  });
  feed(input, (chunk) => connection.read(chunk));
  connection.out.flush();
  for (const stream of connection.streams.snapshot()) stream.resume();
  connection.out.flush();
  const state = connection.state.t;
  connection.tick(performance.now() + 1);
  connection.destroy("end of input");
  assert(connection.streams.size === 0, "streams survive their connection");
  assert(connection.held.used === 0, `${connection.held.used} held bytes survive their connection`);
  assert(connection.queued.used === 0, `${connection.queued.used} queued bytes survive their connection`);
  assert(counters.callsStarted === counters.callsEnded, "calls started and ended differ");
  checkOutput(Buffer.concat(written));
  return describe(counters, state);
};

/** A client connection with three calls open: each must hear its end once. */
const runClient: Run = (input) => {
  const counters = createCounters();
  const { socket, written } = createFakeSocket();
  const ends: number[] = [0, 0, 0];
  const codes: number[] = [];
  const owner: CallOwner = {
    onPendingEnded: () => {},
    admitPending: () => true,
    onSinkError: (error) => {
      throw error;
    },
  };
  const calls = ends.map(
    (_, i) =>
      new ClientCall(
        owner,
        "/a/b",
        ["token", "x"],
        {},
        {
          onMessage: (payload, call) => {
            assert(ends[i] === 0, "a message after the end");
            if ((payload[0] ?? 0) % 5 === 0) call.pause();
            if ((payload[0] ?? 0) % 7 === 0) call.sendMessage(Buffer.alloc(20_000));
            if ((payload[0] ?? 0) % 11 === 0) call.cancel();
          },
          onEnd: (outcome) => {
            ends[i] = (ends[i] ?? 0) + 1;
            codes.push(outcome.code);
          },
          onDrain: (call) => call.halfClose(),
        },
      ),
  );
  const connection = new ClientConnection(socket, {
    limits,
    keepalive,
    counters,
    scheme: "http",
    authority: "localhost",
    userAgent: "fuzz",
    onReady: () => {
      for (const call of calls) {
        connection.start(call, undefined);
        call.sendMessage(Buffer.from("hello"), call === calls[0]);
      }
    },
    onGoingAway: () => {},
    onTooManyPings: () => {},
    onRoom: () => {},
    onClosed: () => {},
  });
  feed(input, (chunk) => connection.read(chunk));
  connection.out.flush();
  const state = connection.state.t;
  connection.destroy("end of input");
  for (const call of calls) {
    if (call.id === 0) continue;
    // What a paused call holds, its end included, is its consumer's until that resumes or cancels.
    call.resume();
    while (call.isPaused) call.resume();
  }
  assert(
    calls.every((call, i) => ends[i] === (call.id === 0 ? 0 : 1)),
    `calls ended ${ends.join()} times`,
  );
  assert(connection.held.used === 0, `${connection.held.used} held bytes survive their calls`);
  assert(connection.queued.used === 0, `${connection.queued.used} queued bytes survive their connection`);
  checkOutput(Buffer.concat(written).subarray(24));
  for (const call of calls) call.cancel();
  return describe(counters, `${state} ${codes.sort().join()}`);
};

const draws = new Random(1);
/** Whole frames for mutation to put in. */
const pieces = Array.from({ length: 60 }, () => plausibleFrame(draws));

export const targets: Readonly<Record<string, FuzzTarget>> = {
  server: { generate, pieces, run: runServer },
  client: { generate, pieces, run: runClient },
};
