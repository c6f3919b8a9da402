import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { HpackEncoder, Indexing } from "../src/hpack/encoder.ts";
import { CLIENT_PREFACE, ErrorCode, FrameType, SettingId } from "../src/http2/constants.ts";
import {
  Channel,
  type ConnectionLimits,
  type Outcome,
  type ServerOptions,
  type TransportCounters,
} from "../src/index.ts";
import { startServer } from "./support/echo-server.ts";
import {
  block,
  data,
  frame,
  headers,
  message,
  type Pairs,
  ping,
  requestHeaders,
  rst,
  settings,
  u32,
  unaryAnswer,
  unaryRequest,
  windowUpdate,
} from "./support/frames.ts";
import { connectRaw, type RawPeer, RawServer } from "./support/raw-peer.ts";

const times = (count: number, make: (i: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));

interface Flood {
  readonly what: string;
  readonly limits: Partial<ConnectionLimits>;
  readonly attack: Buffer;
  readonly counter: keyof TransportCounters;
  readonly settings?: readonly (readonly [id: number, value: number])[];
}

const slow = { burst: 20, perSecond: 0 };
const requestBlock = block(requestHeaders);

/** Each ends its connection with ENHANCE_YOUR_CALM, and nobody else's. */
const floods: readonly Flood[] = [
  {
    what: "rapid reset: streams opened and cancelled",
    limits: { resetFlood: slow },
    attack: times(30, (i) => Buffer.concat([headers(i * 2 + 1), rst(i * 2 + 1, ErrorCode.cancel)])),
    counter: "resetFloods",
  },
  {
    what: "resets of our making, by errors on streams",
    limits: { resetFlood: slow },
    attack: times(30, (i) => Buffer.concat([headers(i * 2 + 1), windowUpdate(i * 2 + 1, 0)])),
    counter: "resetFloods",
  },
  {
    what: "resets of our making, by malformed requests",
    limits: { resetFlood: slow },
    attack: times(30, (i) => headers(i * 2 + 1, [["x", "y"]])),
    counter: "resetFloods",
  },
  {
    what: "SETTINGS",
    limits: { settingsFlood: slow },
    attack: times(30, () => settings()),
    counter: "settingsFloods",
  },
  {
    what: "PING, while calls run",
    limits: { pingFlood: slow },
    attack: times(30, () => ping()),
    counter: "pingFloods",
  },
  {
    what: "DATA without data",
    limits: { emptyFrameFlood: slow },
    attack: Buffer.concat([headers(1), times(30, () => data(1, ""))]),
    counter: "emptyFrameFloods",
  },
  {
    what: "PRIORITY",
    limits: { emptyFrameFlood: slow },
    attack: times(30, (i) => frame(FrameType.priority, 0, i + 1, Buffer.alloc(5))),
    counter: "emptyFrameFloods",
  },
  {
    what: "frames of unknown types",
    limits: { emptyFrameFlood: slow },
    attack: times(30, () => frame(0xfa, 0, 0)),
    counter: "emptyFrameFloods",
  },
  {
    what: "PING ACK nobody asked for",
    limits: { emptyFrameFlood: slow },
    attack: times(30, () => ping("12345678", 1)),
    counter: "emptyFrameFloods",
  },
  {
    what: "windows granted by the byte",
    limits: { windowUpdateFlood: slow },
    attack: times(30, () => windowUpdate(0, 1)),
    counter: "windowUpdateFloods",
  },
  {
    what: "an answer drawn out by the byte",
    limits: { windowUpdateFlood: slow },
    settings: [[SettingId.initialWindowSize, 0]],
    attack: Buffer.concat([unaryRequest(1, "x".repeat(1000)), times(30, () => windowUpdate(1, 1))]),
    counter: "windowUpdateFloods",
  },
  {
    what: "many CONTINUATION frames",
    limits: { maxContinuationFrames: 3 },
    attack: Buffer.concat([
      frame(FrameType.headers, 0, 1, requestBlock),
      times(4, () => frame(FrameType.continuation, 0, 1)),
    ]),
    counter: "continuationFloods",
  },
  {
    what: "large CONTINUATION frames",
    limits: { maxHeaderBlockBytes: 20_000 },
    attack: Buffer.concat([
      frame(FrameType.headers, 0, 1, Buffer.alloc(16_000)),
      frame(FrameType.continuation, 0, 1, Buffer.alloc(5000)),
    ]),
    counter: "continuationFloods",
  },
];

/** A neighbour that does a call before and after what happens in between. */
async function withNeighbour(port: number, act: () => Promise<void>): Promise<void> {
  await using channel = new Channel({ endpoint: { host: "127.0.0.1", port } });
  const call = (): Promise<unknown> => channel.unaryCall("/a/b", [], Buffer.from("x"));
  await call();
  await act();
  await call();
  expect(channel.counters.connectionsOpened).toBe(1);
}

describe("floods end their connection with ENHANCE_YOUR_CALM, and their neighbours notice nothing", () => {
  it.each(floods)("$what", async ({ limits, attack, counter, settings: entries = [] }) => {
    await using test = await startServer({
      limits,
      pingPolicy: { minTimeMs: 0, permitWithoutStreams: true },
    });
    await withNeighbour(test.port, async () => {
      await using peer = await connectRaw(test.port, entries);
      peer.send(attack);
      expect(await peer.goawayCode()).toBe(ErrorCode.enhanceYourCalm);
      await peer.closed();
      expect(test.server.counters[counter]).toBe(1);
    });
  });

  it.each(floods)("$what, within the default limits, is borne", async ({ attack, what }) => {
    // Blocks that are too long are too long; everything else may come thirty times.
    if (what.includes("large CONTINUATION") || what.includes("many CONTINUATION")) return;
    await using test = await startServer({ pingPolicy: { minTimeMs: 0, permitWithoutStreams: true } });
    await using peer = await connectRaw(test.port);
    peer.send(attack, ping("stillup!"));
    await peer.frame("PING ACK", ({ flags, payload }) => flags === 1 && payload.toString() === "stillup!");
  });

  it("small windows given back for small messages are no flood, however many (grpc-go gives back what it got with each ping)", async () => {
    await using test = await startServer({ limits: { windowUpdateFlood: slow } });
    await using peer = await connectRaw(test.port);
    for (let i = 0; i < 100; i++) {
      peer.send(unaryRequest(i * 2 + 1));
      await peer.trailers(i * 2 + 1);
      peer.send(windowUpdate(0, 10));
    }
    peer.send(ping("stillup!"));
    await peer.frame("PING ACK", ({ flags, payload }) => flags === 1 && payload.toString() === "stillup!");
    expect(test.server.counters.windowUpdateFloods).toBe(0);
  });

  it("pings that measure what we send are no flood, however many (grpc-go, both as client and as server)", async () => {
    await using test = await startServer({ limits: { pingFlood: slow }, pingPolicy: { minTimeMs: 60_000 } });
    await using peer = await connectRaw(test.port);
    for (let i = 0; i < 100; i++) {
      peer.send(unaryRequest(i * 2 + 1));
      await peer.trailers(i * 2 + 1);
      peer.send(ping());
    }
    expect(peer.isClosed).toBe(false);
    expect(test.server.counters.pingFloods).toBe(0);
  });

  it("answers that are not read", async () => {
    await using test = await startServer({
      limits: { maxUnreadBytes: 300_000, pingFlood: { burst: 1e9, perSecond: 1e9 } },
      pingPolicy: { minTimeMs: 0, permitWithoutStreams: true },
    });
    await withNeighbour(test.port, async () => {
      await using peer = await connectRaw(test.port);
      peer.socket.pause();
      const pings = times(20_000, () => ping());
      await expect
        .poll(
          () => {
            if (peer.socket.writableLength < 1_000_000) peer.send(pings);
            return test.server.counters.unreadOutputFloods;
          },
          { timeout: 30_000, interval: 1 },
        )
        .toBe(1);
    });
  });

  it("too_many_pings: pings faster than the policy, with nothing sent in between", async () => {
    await using test = await startServer({ pingPolicy: { minTimeMs: 60_000 } });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1));
    await expect.poll(() => test.calls.length).toBe(1);
    // The first is free, two more are forgiven.
    for (const text of ["ping-1--", "ping-2--", "ping-3--"]) peer.send(ping(text));
    await peer.frame("third ACK", ({ flags, payload }) => flags === 1 && payload.toString() === "ping-3--");
    test.calls[0]?.sendMessage(Buffer.from("x"));
    await peer.frameOf(FrameType.data, 1);
    // Data was sent: the strikes are forgotten.
    for (const text of ["ping-4--", "ping-5--", "ping-6--"]) peer.send(ping(text));
    await peer.frame("sixth ACK", ({ flags, payload }) => flags === 1 && payload.toString() === "ping-6--");
    peer.send(ping("ping-7--"));
    const frame = await peer.frameOf(FrameType.goaway);
    expect(frame.payload.readUInt32BE(4)).toBe(ErrorCode.enhanceYourCalm);
    expect(frame.payload.toString("latin1", 8)).toBe("too_many_pings");
    expect(test.server.counters.pingFloods).toBe(1);
  });
});

describe("limits of one call end that call", () => {
  async function answered(
    options: Partial<ServerOptions<undefined>>,
    send: readonly Buffer[],
  ): Promise<{
    status: string | undefined;
    text: string | undefined;
    http: string | undefined;
    counters: TransportCounters;
    peer: RawPeer;
  }> {
    await using test = await startServer(options);
    await using peer = await connectRaw(test.port);
    peer.send(...send);
    const trailers = await peer.trailers(1);
    peer.send(unaryRequest(101));
    expect((await peer.trailers(101)).fields?.["grpc-status"]).toBe("0");
    const { fields = {} } = trailers;
    return {
      status: fields["grpc-status"],
      text: fields["grpc-message"],
      http: fields[":status"],
      counters: test.server.counters,
      peer,
    };
  }

  it("a message above the limit: 8, with the text clients know", async () => {
    const { status, text, counters } = await answered({ limits: { maxReceiveMessageBytes: 100 } }, [
      headers(1),
      data(1, Buffer.concat([Buffer.of(0), u32(101)])),
    ]);
    expect(status).toBe("8");
    expect(text).toBe("grpc: received message larger than max (101 vs. 100)");
    expect(counters.messagesTooLarge).toBe(1);
  });

  it("a header list above the limit: 431 and 8", async () => {
    const { status, http, counters } = await answered({ limits: { maxHeaderListBytes: 1000 } }, [
      headers(1, [...requestHeaders, ["x-a", "b".repeat(1000)]], true),
    ]);
    expect([http, status]).toEqual(["431", "8"]);
    expect(counters.headerListsTooLarge).toBe(1);
  });

  it("an HPACK bomb: a small block that unfolds into megabytes", async () => {
    const encoder = new HpackEncoder(4096);
    const bytes = Buffer.alloc(16_000);
    let end = 0;
    for (const [name, value] of requestHeaders)
      end = encoder.encode(bytes, end, name, value, Indexing.without);
    end = encoder.encode(bytes, end, "x", "y".repeat(1900), Indexing.incremental);
    bytes.fill(0xbe, end, 12_000);
    const { status, counters } = await answered({}, [
      frame(FrameType.headers, 5, 1, bytes.subarray(0, 12_000)),
    ]);
    expect(status).toBe("8");
    expect(counters.headerListsTooLarge).toBe(1);
  });

  it("a paused call with more than the connection may hold: 8", async () => {
    await using test = await startServer({
      limits: { maxHeldBytes: 1000 },
      onCall: (call) => {
        if (test.calls.length === 1) call.pause();
        return { onMessage: (p) => call.sendMessage(p), onHalfClose: () => call.end(), onCancel: () => {} };
      },
    });
    await using peer = await connectRaw(test.port);
    peer.send(
      headers(1),
      times(30, () => data(1, message("x".repeat(50)))),
    );
    expect((await peer.trailers(1)).fields?.["grpc-status"]).toBe("8");
    expect(test.server.counters.receiveBudgetExceeded).toBe(1);
    expect([...test.server.connections][0]?.held.used).toBe(0);
    peer.send(unaryRequest(3));
    await peer.trailers(3);
  });

  it("unfinished messages of many calls together: 8 for the one that goes over", async () => {
    await using test = await startServer({ limits: { maxHeldBytes: 1000 } });
    await using peer = await connectRaw(test.port);
    const begun = Buffer.concat([Buffer.of(0), u32(600), Buffer.alloc(400)]);
    for (const streamId of [1, 3, 5]) peer.send(headers(streamId), data(streamId, begun));
    expect((await peer.trailers(5)).fields?.["grpc-status"]).toBe("8");
    peer.send(data(1, Buffer.alloc(200), true));
    expect((await peer.trailers(1)).fields?.["grpc-status"]).toBe("0");
  });

  it("more waiting to be sent than the connection may queue: 8", async () => {
    await using test = await startServer({
      limits: { maxQueuedBytes: 1000 },
      onCall: (call) => ({
        onMessage: () => call.respond(Buffer.alloc(2000)),
        onHalfClose: () => {},
        onCancel: () => {},
      }),
    });
    await using peer = await connectRaw(test.port, [[SettingId.initialWindowSize, 0]]);
    // A single answer of any size may wait; the second is one too many.
    peer.send(unaryRequest(1), unaryRequest(3));
    expect((await peer.trailers(3)).fields?.["grpc-status"]).toBe("8");
    expect(test.server.counters.sendBudgetExceeded).toBe(1);
    peer.send(windowUpdate(1, 10_000));
    expect((await peer.trailers(1)).fields?.["grpc-status"]).toBe("0");
    expect(peer.body(1)).toHaveLength(2005);
  });

  it("what connections hold together is limited too, either way: 8", async () => {
    await using test = await startServer({
      maxTotalHeldBytes: 1000,
      maxTotalQueuedBytes: 1000,
      onCall: (call) => ({
        onMessage: () => call.respond(Buffer.alloc(2000)),
        onHalfClose: () => {},
        onCancel: () => {},
      }),
    });
    const begun = Buffer.concat([Buffer.of(0), u32(900), Buffer.alloc(600)]);
    await using first = await connectRaw(test.port, [[SettingId.initialWindowSize, 0]]);
    await using second = await connectRaw(test.port, [[SettingId.initialWindowSize, 0]]);
    first.send(headers(1), data(1, begun), unaryRequest(3), ping("received"));
    await first.frame("PING ACK", ({ type, flags }) => type === FrameType.ping && flags === 1);
    second.send(headers(1), data(1, begun), unaryRequest(3));
    expect((await second.trailers(1)).fields?.["grpc-status"]).toBe("8");
    expect((await second.trailers(3)).fields?.["grpc-status"]).toBe("8");
    expect(test.server.counters).toMatchObject({ receiveBudgetExceeded: 1, sendBudgetExceeded: 1 });
  });

  it("a stream that grants no window for too long is reset", async () => {
    await using test = await startServer({ limits: { streamStallTimeoutMs: 50 } });
    await using peer = await connectRaw(test.port, [[SettingId.initialWindowSize, 0]]);
    peer.send(unaryRequest(1));
    expect((await peer.frameOf(FrameType.rstStream, 1)).payload.readUInt32BE(0)).toBe(
      ErrorCode.enhanceYourCalm,
    );
    expect(test.server.counters.streamStalls).toBe(1);
    peer.send(settings([SettingId.initialWindowSize, 65_535]), unaryRequest(3));
    await peer.trailers(3);
  });

  it("streams above the limit are refused", async () => {
    await using test = await startServer({ maxConcurrentStreams: 2 });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1), headers(3), headers(5));
    expect((await peer.frameOf(FrameType.rstStream, 5)).payload.readUInt32BE(0)).toBe(
      ErrorCode.refusedStream,
    );
    expect(test.server.counters.callsRefused).toBe(1);
    expect(test.calls).toHaveLength(2);
    const announced = await peer.frameOf(FrameType.settings);
    expect(announced.payload.subarray(0, 6)).toEqual(
      Buffer.from([0, SettingId.maxConcurrentStreams, 0, 0, 0, 2]),
    );
  });

  it("streams above the silent limit are refused too", async () => {
    await using test = await startServer({ limits: { maxOpenStreams: 1 } });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1), headers(3));
    expect((await peer.frameOf(FrameType.rstStream, 3)).payload.readUInt32BE(0)).toBe(
      ErrorCode.refusedStream,
    );
  });
});

describe("flow control of what the peer sends", () => {
  it("more than the stream window: FLOW_CONTROL_ERROR on the stream", async () => {
    await using test = await startServer({
      onCall: (call) => {
        call.pause();
        return { onMessage: () => {}, onHalfClose: () => {}, onCancel: () => {} };
      },
    });
    await using peer = await connectRaw(test.port);
    peer.send(
      headers(1),
      times(5, () => data(1, Buffer.alloc(16_384))),
    );
    expect((await peer.frameOf(FrameType.rstStream, 1)).payload.readUInt32BE(0)).toBe(
      ErrorCode.flowControlError,
    );
    expect(test.server.counters.streamErrors).toBe(1);
  });
});

describe("time limits", () => {
  const fast: Partial<ConnectionLimits> = { handshakeTimeoutMs: 200, headerTimeoutMs: 200 };

  it.each([
    { what: "nothing", bytes: Buffer.alloc(0) },
    { what: "half a preface", bytes: CLIENT_PREFACE.subarray(0, 10) },
  ])("a connection that sends $what is closed", async ({ bytes }) => {
    await using test = await startServer({ limits: fast });
    await using peer = await connectRaw(test.port, "nothing");
    peer.send(bytes);
    await peer.closed();
    expect(test.server.counters.handshakeTimeouts).toBe(1);
    expect(test.events).toContainEqual(
      expect.objectContaining({ t: "connectionRejected", reason: "no request in time" }),
    );
  });

  it("a preface without SETTINGS ends with SETTINGS_TIMEOUT", async () => {
    await using test = await startServer({ limits: fast });
    await using peer = await connectRaw(test.port, "nothing");
    peer.send(CLIENT_PREFACE);
    expect(await peer.goawayCode()).toBe(ErrorCode.settingsTimeout);
    expect(test.server.counters.handshakeTimeouts).toBe(1);
  });

  it("SETTINGS that are never acknowledged end with SETTINGS_TIMEOUT", async () => {
    await using test = await startServer({ limits: { settingsAckTimeoutMs: 50 } });
    await using peer = await connectRaw(test.port, "nothing");
    peer.send(Buffer.concat([CLIENT_PREFACE, frame(FrameType.settings, 0, 0)]));
    expect(await peer.goawayCode()).toBe(ErrorCode.settingsTimeout);
    expect(test.server.counters.settingsAckTimeouts).toBe(1);
    expect(test.server.counters.handshakeTimeouts).toBe(0);
  });

  it("SETTINGS that are acknowledged may be as old as they like", async () => {
    await using test = await startServer({
      limits: { settingsAckTimeoutMs: 20, handshakeTimeoutMs: 60_000 },
    });
    await using peer = await connectRaw(test.port, "nothing");
    peer.send(
      Buffer.concat([
        CLIENT_PREFACE,
        frame(FrameType.settings, 0, 0),
        frame(FrameType.settings, 1, 0),
        ping(),
      ]),
    );
    await peer.frameOf(FrameType.ping, 0);
    const [connection] = test.server.connections;
    // What the server's heartbeat does, half a minute later.
    connection?.tick(performance.now() + 30_000);
    expect(connection?.state.t).toBe("open");
    expect(test.server.counters.settingsAckTimeouts).toBe(0);
  });

  it("a header block that is never finished ends with ENHANCE_YOUR_CALM", async () => {
    await using test = await startServer({ limits: fast });
    await using peer = await connectRaw(test.port);
    peer.send(frame(FrameType.headers, 0, 1, requestBlock));
    expect(await peer.goawayCode()).toBe(ErrorCode.enhanceYourCalm);
    expect(test.server.counters.continuationFloods).toBe(1);
  });

  it("a peer that takes no bytes is cut off", async () => {
    await using test = await startServer({
      limits: { writeStallTimeoutMs: 100 },
      onCall: (call) => ({
        onMessage: () => call.respond(Buffer.alloc(50_000_000)),
        onHalfClose: () => {},
        onCancel: () => {},
      }),
    });
    await using peer = await connectRaw(test.port, [[SettingId.initialWindowSize, 0x7fff_ffff]]);
    peer.socket.pause();
    peer.send(windowUpdate(0, 0x7fff_0000), unaryRequest(1));
    await expect.poll(() => test.server.counters.writeStalls, { timeout: 10_000 }).toBe(1);
    expect(test.server.connections.size).toBe(0);
  });

  it("a silent peer is pinged, and cut off when it does not answer", async () => {
    await using test = await startServer({ keepalive: { timeMs: 50, timeoutMs: 50 } });
    await using peer = await connectRaw(test.port);
    const { payload } = await peer.frameOf(FrameType.ping);
    expect(payload).toHaveLength(8);
    await peer.closed();
    expect(test.server.counters.keepaliveTimeouts).toBe(1);
  });

  it("a peer that answers keepalive pings stays", async () => {
    await using test = await startServer({ keepalive: { timeMs: 30, timeoutMs: 5000 } });
    await using peer = await connectRaw(test.port);
    for (const round of [1, 2, 3]) {
      await peer.count(round, ({ type }) => type === FrameType.ping);
      peer.send(ping("12345678", 1));
    }
    expect(test.server.counters.keepaliveTimeouts).toBe(0);
  });

  it("a peer that answered while this process was held up stays", async () => {
    await using test = await startServer({ keepalive: { timeMs: 30, timeoutMs: 500 } });
    await using peer = await connectRaw(test.port);
    await peer.frameOf(FrameType.ping);
    peer.send(ping("12345678", 1));
    // The answer is there, and unread, when the time is over.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
    await peer.count(2, ({ type }) => type === FrameType.ping);
    expect(test.server.counters.keepaliveTimeouts).toBe(0);
  });

  it("an old connection is drained, and ended when its grace is over", async () => {
    await using test = await startServer({ maxConnectionAgeMs: 50, maxConnectionAgeGraceMs: 100 });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1));
    const { payload } = await peer.frameOf(FrameType.goaway);
    expect(payload.readUInt32BE(4)).toBe(ErrorCode.noError);
    await peer.closed();
    expect(test.server.counters.agedConnections).toBe(1);
  });
});

describe("limits of the server", () => {
  it("connections above the limit are closed on arrival", async () => {
    await using test = await startServer({ maxConnections: 1 });
    await using first = await connectRaw(test.port);
    await first.frameOf(FrameType.settings);
    const second = connect(test.port, "127.0.0.1");
    second.on("error", () => {});
    await once(second, "close");
    expect(test.server.counters.connectionsRefused).toBe(1);
    first.send(unaryRequest(1));
    await first.trailers(1);
  });

  it("bytes of no known protocol are closed on", async () => {
    await using test = await startServer();
    await using peer = await connectRaw(test.port, "nothing");
    peer.send(Buffer.from("\x16\x03\x01 hello"));
    await peer.closed();
    expect(test.server.counters.unknownProtocolConnections).toBe(1);
  });
});

describe("limits of a channel", () => {
  it("a full server makes calls wait, up to a number and a time", async () => {
    await using server = await RawServer.listen([[SettingId.maxConcurrentStreams, 1]]);
    await using channel = new Channel({
      endpoint: { host: "127.0.0.1", port: server.port },
      maxPendingCalls: 1,
      maxPendingMs: 100,
    });
    const call = (): Promise<unknown> => channel.unaryCall("/a/b", [], Buffer.from("x"));
    const first = call();
    const peer = await server.next();
    await peer.frameOf(FrameType.data, 1);
    const second = call();
    const third = call();
    await expect(third).rejects.toMatchObject({ code: 8, progress: "notSent" });
    expect(channel.counters.pendingCallsRejected).toBe(1);
    await expect(second).rejects.toMatchObject({
      code: 14,
      progress: "notSent",
      message: "all connections are full",
    });
    peer.send(rst(1, ErrorCode.cancel));
    await expect(first).rejects.toMatchObject({ code: 1 });
  });

  it("calls that wait may hold so many bytes together: 8 for the one that goes over", async () => {
    // It takes the connection and says nothing, so that calls wait.
    await using silent = createServer((socket) => socket.resume());
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const address = silent.address();
    await using channel = new Channel({
      endpoint: { host: "127.0.0.1", port: typeof address === "object" ? (address?.port ?? 0) : 0 },
      maxPendingBytes: 1000,
    });
    const open = (): { call: ReturnType<Channel["open"]>; ended: Promise<Outcome> } => {
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      const call = channel.open("/a/b", [], {}, { onMessage: () => {}, onEnd: resolve });
      return { call, ended: promise };
    };
    const first = open();
    first.call.sendMessage(Buffer.alloc(900));
    // One may pass the limit: else a message larger than it could never be sent.
    first.call.sendMessage(Buffer.alloc(900));
    const second = open();
    expect(second.call.sendMessage(Buffer.alloc(1))).toBe(false);
    expect(await second.ended).toMatchObject({ code: 8, progress: "notSent" });
    expect(channel.counters.pendingBytesExceeded).toBe(1);
    // What an ended call held is free again.
    first.call.cancel();
    const third = open();
    third.call.sendMessage(Buffer.alloc(900));
    expect(third.call.isEnded).toBe(false);
    expect(channel.counters.pendingBytesExceeded).toBe(1);
  });

  it("a server may give back small windows for small calls, however many (etcd does)", async () => {
    await using server = await RawServer.listen([]);
    await using channel = new Channel({
      endpoint: { host: "127.0.0.1", port: server.port },
      limits: { windowUpdateFlood: slow },
    });
    let peer: RawPeer | undefined;
    for (let streamId = 1; streamId < 200; streamId += 2) {
      const call = channel.unaryCall("/a/b", [], Buffer.from("x"));
      peer ??= await server.next();
      await peer.frameOf(FrameType.data, streamId);
      peer.send(windowUpdate(0, 6), unaryAnswer(streamId));
      await call;
    }
    expect(channel.counters.windowUpdateFloods).toBe(0);
  });

  it("a server that never acknowledges our SETTINGS is left", async () => {
    await using server = await RawServer.listen([]);
    await using channel = new Channel({
      endpoint: { host: "127.0.0.1", port: server.port },
      limits: { settingsAckTimeoutMs: 50 },
    });
    const call = channel.unaryCall("/a/b", [], Buffer.from("x"));
    const peer = await server.next();
    await expect(call).rejects.toMatchObject({ code: 14 });
    expect(await peer.goawayCode()).toBe(ErrorCode.settingsTimeout);
    expect(channel.counters.settingsAckTimeouts).toBe(1);
  });

  it("opens more connections when it may, and uses room as it comes", async () => {
    await using server = await RawServer.listen([[SettingId.maxConcurrentStreams, 1]]);
    await using channel = new Channel({
      endpoint: { host: "127.0.0.1", port: server.port },
      maxConnections: 2,
    });
    const calls = [1, 2, 3].map(() => channel.unaryCall("/a/b", [], Buffer.from("x")));
    const first = await server.next();
    const second = await server.next();
    await Promise.all([first.frameOf(FrameType.data, 1), second.frameOf(FrameType.data, 1)]);
    expect(channel.load).toEqual({ active: 2, waiting: 1 });
    const answer = (peer: RawPeer, streamId: number): void =>
      peer.send(
        headers(streamId, [
          [":status", "200"],
          ["content-type", "application/grpc"],
        ] satisfies Pairs),
        data(streamId, message("ok")),
        headers(streamId, [["grpc-status", "0"]], true),
      );
    answer(second, 1);
    await second.frameOf(FrameType.data, 3);
    answer(second, 3);
    answer(first, 1);
    await Promise.all(calls);
  });

  it("metadata above what the server announced is not sent", async () => {
    await using server = await RawServer.listen([[SettingId.maxHeaderListSize, 2000]]);
    await using channel = new Channel({ endpoint: { host: "127.0.0.1", port: server.port } });
    const call = (bytes: number): Promise<unknown> =>
      channel.unaryCall("/a/b", ["x", "y".repeat(bytes)], Buffer.from("x"));
    await expect(call(1800)).rejects.toMatchObject({ code: 13, progress: "notSent" });
    const small = call(1000);
    const peer = await server.next();
    await peer.frameOf(FrameType.data, 1);
    await expect(call(1800)).rejects.toMatchObject({ code: 13, progress: "notSent" });
    peer.send(rst(1, ErrorCode.cancel));
    await expect(small).rejects.toMatchObject({ code: 1 });
  });

  it("a server that never sends SETTINGS is given up", async () => {
    const silent = createServer((socket) => socket.resume());
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const address = silent.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    await using channel = new Channel({ endpoint: { host: "127.0.0.1", port }, connectTimeoutMs: 50 });
    await expect(channel.unaryCall("/a/b", [], Buffer.alloc(0))).rejects.toMatchObject({
      code: 14,
      progress: "notSent",
    });
    expect(channel.counters.connectFailures).toBe(1);
    silent.close();
  });
});
