import { Buffer } from "node:buffer";
import { connect } from "node:http2";
import { describe, expect, it } from "vitest";
import { HpackEncoder, Indexing } from "../src/hpack/encoder.ts";
import { ErrorCode, FrameType, SettingId } from "../src/http2/constants.ts";
import { type CallError, Channel, type ClientSink, isSafeToResend, type Outcome } from "../src/index.ts";
import { startServer } from "./support/echo-server.ts";
import {
  frame,
  goaway,
  headers,
  message,
  type Pairs,
  requestHeaders,
  rst,
  unaryAnswer,
  unaryRequest,
  windowUpdate,
} from "./support/frames.ts";
import { connectRaw, RawServer } from "./support/raw-peer.ts";

function channelTo(port: number): Channel {
  return new Channel({ endpoint: { host: "127.0.0.1", port }, backoff: { baseMs: 10, maxMs: 20 } });
}

/** Opens a call that sends one message, and the promise of its outcome. */
function callOnce(channel: Channel, sink: Partial<ClientSink> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const call = channel.open(
      "/test.Service/Method",
      [],
      {},
      {
        onMessage: () => {
          // Only the outcome counts.
        },
        onEnd: resolve,
        ...sink,
      },
    );
    call.sendMessage(Buffer.from("x"), true);
  });
}

describe("rule 9: equal header blocks of different meaning", () => {
  it("takes each credential from the table as it is, though the bytes repeat", async () => {
    await using test = await startServer({
      onCall: (call) => {
        call.end({ code: 0, metadata: ["seen", call.metadata[1] ?? ""] });
        return { onMessage: () => {}, onHalfClose: () => {}, onCancel: () => {} };
      },
    });
    await using peer = await connectRaw(test.port);
    const encoder = new HpackEncoder(4096);
    const seen: (string | undefined)[] = [];
    const blocks: string[] = [];
    let streamId = 1;
    // The block with "token: A" repeated is a single index; after "token: B" was inserted the same index means B.
    for (const token of ["A", "A", "A", "B", "B", "A", "B"]) {
      const bytes = Buffer.alloc(500);
      let end = 0;
      for (const [name, value] of requestHeaders)
        end = encoder.encode(bytes, end, name, value, Indexing.without);
      end = encoder.encode(bytes, end, "token", token, Indexing.incremental);
      blocks.push(bytes.toString("hex", 0, end));
      peer.send(frame(FrameType.headers, 5, streamId, bytes.subarray(0, end)));
      seen.push((await peer.trailers(streamId)).fields?.["seen"]);
      streamId += 2;
    }
    expect(seen).toEqual(["A", "A", "A", "B", "B", "A", "B"]);
    // The trap was there: the same bytes stood for A and for B.
    expect(blocks[1]).toBe(blocks[4]);
    expect(test.server.counters.headerMemoHits).toBeGreaterThan(0);
  });
});

describe("rule 39: what a failed call says about sending it again", () => {
  it("refused: REFUSED_STREAM", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const outcome = callOnce(channel);
    const peer = await server.next();
    await peer.frameOf(FrameType.headers);
    peer.send(rst(1, ErrorCode.refusedStream));
    expect(await outcome).toMatchObject({ code: 14, progress: "refused" });
    expect(isSafeToResend(await outcome)).toBe(true);
  });

  it("refused: above the last identifier of GOAWAY, while the call below goes on", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const first = callOnce(channel);
    const second = callOnce(channel);
    const peer = await server.next();
    await peer.frameOf(FrameType.data, 3);
    peer.send(goaway(1, ErrorCode.noError));
    expect(await second).toMatchObject({ code: 14, progress: "refused" });
    peer.send(unaryAnswer(1));
    expect(await first).toMatchObject({ code: 0, progress: "answered" });
    await peer.closed();
  });

  it.each([
    { what: "another reset", act: (streamId: number) => rst(streamId, ErrorCode.internalError), code: 13 },
    {
      what: "a reset after response headers",
      act: (streamId: number) =>
        Buffer.concat([
          headers(streamId, [
            [":status", "200"],
            ["content-type", "application/grpc"],
          ]),
          rst(streamId, ErrorCode.cancel),
        ]),
      code: 1,
    },
  ])("sent: $what", async ({ act, code }) => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const outcome = callOnce(channel);
    const peer = await server.next();
    await peer.frameOf(FrameType.data, 1);
    peer.send(act(1));
    expect(await outcome).toMatchObject({ code, progress: "sent" });
    expect(isSafeToResend(await outcome)).toBe(false);
  });

  it("sent: the connection is lost after the request", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const outcome = callOnce(channel);
    const peer = await server.next();
    await peer.frameOf(FrameType.data, 1);
    peer.socket.destroy();
    expect(await outcome).toMatchObject({ code: 14, progress: "sent" });
  });

  it("sent: GOAWAY that includes the call, then the connection is lost", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const outcome = callOnce(channel);
    const peer = await server.next();
    await peer.frameOf(FrameType.data, 1);
    peer.send(goaway(1, ErrorCode.noError));
    await expect.poll(() => channel.state.t).toBe("idle");
    peer.socket.destroy();
    expect(await outcome).toMatchObject({ code: 14, progress: "sent" });
  });

  it("notSent: there never was a connection", async () => {
    const server = await RawServer.listen();
    const { port } = server;
    await server[Symbol.asyncDispose]();
    await using channel = channelTo(port);
    const outcome = await callOnce(channel);
    expect(outcome).toMatchObject({ code: 14, progress: "notSent" });
    expect(isSafeToResend(outcome)).toBe(true);
  });

  it("notSent: the connection ends in the turn in which the call was opened", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const warm = callOnce(channel);
    const peer = await server.next();
    await peer.frameOf(FrameType.data, 1);
    peer.send(unaryAnswer(1));
    await warm;
    const outcome = callOnce(channel);
    channel.destroy();
    expect(await outcome).toMatchObject({ code: 14, progress: "notSent" });
  });

  it("downstream: GOAWAY of a drain never excludes a call that a handler has seen", async () => {
    await using test = await startServer();
    await using peer = await connectRaw(test.port);
    peer.send(headers(1), headers(3));
    await expect.poll(() => test.calls.length).toBe(2);
    const closed = test.server.close(5000);
    const isFinal = ({ type, payload }: { type: number; payload: Buffer }): boolean =>
      type === FrameType.goaway && payload.readUInt32BE(0) !== 0x7fff_ffff;
    const ping = await peer.frameOf(FrameType.ping);
    // A call that crosses the first GOAWAY is still taken.
    peer.send(headers(5), frame(FrameType.ping, 1, 0, ping.payload));
    expect((await peer.frame("final GOAWAY", isFinal)).payload.readUInt32BE(0)).toBe(5);
    peer.send(headers(7));
    await expect.poll(() => test.server.counters.callsRefused).toBe(1);
    for (const call of test.calls) call.end();
    expect((await peer.trailers(5)).fields?.["grpc-status"]).toBe("0");
    await peer.closed();
    await closed;
    expect(test.calls).toHaveLength(3);
  });
});

describe("rule 40: one slow stream costs its neighbours nothing", () => {
  it("returns connection credit for a paused stream, and no stream credit", async () => {
    await using test = await startServer({
      limits: { connectionWindowBytes: 65_535 },
      onCall: (call) => {
        if (call.path === "/slow") call.pause();
        return { onMessage: (p) => call.sendMessage(p), onHalfClose: () => call.end(), onCancel: () => {} };
      },
    });
    await using peer = await connectRaw(test.port);
    const slow: Pairs = [[":path", "/slow"], ...requestHeaders.filter(([name]) => name !== ":path")];
    const filler = message(Buffer.alloc(65_530));
    peer.send(headers(1, slow));
    for (let at = 0; at < filler.length; at += 16_384) {
      peer.send(frame(FrameType.data, 0, 1, filler.subarray(at, at + 16_384)));
    }
    // The slow stream has used up a whole connection window: another call still gets through.
    await peer.frame(
      "connection credit",
      ({ type, streamId }) => type === FrameType.windowUpdate && streamId === 0,
    );
    peer.send(unaryRequest(3, "x".repeat(16_000)));
    await peer.trailers(3);
    expect(peer.frames.some(({ type, streamId }) => type === FrameType.windowUpdate && streamId === 1)).toBe(
      false,
    );
    test.calls[0]?.resume();
    await peer.frame(
      "stream credit",
      ({ type, streamId }) => type === FrameType.windowUpdate && streamId === 1,
    );
  });

  it("sends a watch event while a large answer is on its way on the same connection", async () => {
    const large = Buffer.alloc(8 * 1024 * 1024);
    await using test = await startServer({
      onCall: (call) => ({
        onMessage: () => {
          if (call.path === "/large") call.respond(large);
          else call.sendMessage(Buffer.from("event"));
        },
        onHalfClose: () => {},
        onCancel: () => {},
      }),
    });
    await using peer = await connectRaw(test.port, [[SettingId.initialWindowSize, 0x7fff_ffff]]);
    peer.send(windowUpdate(0, 0x7fff_0000));
    const path = (value: string): Pairs => [
      [":path", value],
      ...requestHeaders.filter(([name]) => name !== ":path"),
    ];
    peer.send(headers(1, path("/large")), frame(FrameType.data, 1, 1, message("go")));
    peer.send(headers(3, path("/watch")), frame(FrameType.data, 0, 3, message("go")));
    await peer.trailers(1);
    const isData =
      (streamId: number) =>
      (f: { type: number; streamId: number }): boolean =>
        f.type === FrameType.data && f.streamId === streamId;
    const event = peer.frames.findIndex(isData(3));
    const before = peer.frames.slice(0, event).filter(isData(1));
    // Turns of one frame, at most 256 KiB ahead of the socket: the event waits for no more than that.
    expect(event).toBeGreaterThan(-1);
    expect(before.length * 16_384).toBeLessThanOrEqual(512 * 1024);
    expect(Math.max(...peer.frames.filter(isData(1)).map(({ payload }) => payload.length))).toBe(16_384);
  });

  it("lets streams with much to send take turns", async () => {
    await using test = await startServer({
      onCall: (call) => ({
        onMessage: () => call.respond(Buffer.alloc(500_000)),
        onHalfClose: () => {},
        onCancel: () => {},
      }),
    });
    await using peer = await connectRaw(test.port, [[SettingId.initialWindowSize, 0x7fff_ffff]]);
    peer.send(windowUpdate(0, 0x7fff_0000), unaryRequest(1), unaryRequest(3), unaryRequest(5));
    await Promise.all([1, 3, 5].map((streamId) => peer.trailers(streamId)));
    const order = peer.frames.filter(({ type }) => type === FrameType.data).map(({ streamId }) => streamId);
    expect(order.slice(0, 30)).toEqual(Array.from({ length: 10 }, () => [1, 3, 5]).flat());
  });

  it("queues nothing beyond the window of a parked stream that heeds `writable`", async () => {
    await using test = await startServer({
      onCall: () => ({ onMessage: () => {}, onHalfClose: () => {}, onCancel: () => {} }),
    });
    await using peer = await connectRaw(test.port, [[SettingId.initialWindowSize, 1000]]);
    peer.send(headers(1));
    await expect.poll(() => test.calls.length).toBe(1);
    const [call] = test.calls;
    let sent = 0;
    while (call?.writable && call.sendMessage(Buffer.alloc(95))) sent++;
    // Ten messages of 100 bytes with their prefixes fill the window; the next one waits, and no more are taken.
    expect(sent).toBe(10);
    expect(call?.queuedBytes).toBe(100);
  });
});

describe("rule 41: a peer that lowers the header table size", () => {
  it("gets a size update before the first constant block", async () => {
    await using test = await startServer();
    await using peer = await connectRaw(test.port, [[SettingId.headerTableSize, 0]]);
    peer.send(unaryRequest(1), unaryRequest(3));
    await peer.trailers(3);
    const blocks = peer.frames
      .filter(({ type }) => type === FrameType.headers)
      .map(({ payload }) => payload[0]);
    expect(blocks).toEqual([0x20, expect.any(Number), 0x88, expect.any(Number)]);
  });

  it("is understood when it is nghttp2 (node:http2)", async () => {
    await using test = await startServer();
    const session = connect(`http://127.0.0.1:${test.port}`, { settings: { headerTableSize: 0 } });
    try {
      const request = session.request({
        ":method": "POST",
        ":path": "/test.Service/Method",
        "content-type": "application/grpc",
        te: "trailers",
      });
      const trailers = new Promise((resolve, reject) => {
        request.on("trailers", resolve);
        request.on("error", reject);
      });
      request.resume();
      request.end(message("x"));
      expect(await trailers).toMatchObject({ "grpc-status": "0" });
    } finally {
      session.destroy();
    }
  });

  it("holds for a channel too: nothing is indexed towards a server that wants no table", async () => {
    await using server = await RawServer.listen([[SettingId.headerTableSize, 0]]);
    await using channel = channelTo(server.port);
    const outcomes = [callOnce(channel), callOnce(channel)];
    const peer = await server.next();
    await peer.frameOf(FrameType.data, 3);
    const blocks = peer.frames.filter(({ type }) => type === FrameType.headers);
    expect(blocks[0]?.payload[0]).toBe(0x20);
    expect(blocks[1]?.fields?.[":path"]).toBe("/test.Service/Method");
    peer.send(unaryAnswer(1), unaryAnswer(3));
    expect((await Promise.all(outcomes)).map(({ code }) => code)).toEqual([0, 0]);
  });
});

describe("rule 42: without a connection a call is held as long as it may be", () => {
  it("fails at once in transient failure, and waits while holdMs lasts", async () => {
    const gone = await RawServer.listen();
    const { port } = gone;
    await gone[Symbol.asyncDispose]();
    await using channel = channelTo(port);
    await callOnce(channel);
    const unary = (holdMs: number): Promise<CallError> =>
      channel.unaryCall("/a/b", [], Buffer.alloc(0), { holdMs }).then(
        () => Promise.reject(new Error("the call should fail")),
        (error: CallError) => error,
      );
    const started = performance.now();
    expect(await unary(0)).toMatchObject({ code: 14, progress: "notSent" });
    const atOnce = performance.now() - started;
    expect(await unary(2_000)).toMatchObject({ code: 14, progress: "notSent" });
    const held = performance.now() - started - atOnce;
    expect(atOnce).toBeLessThan(1_500);
    expect(held).toBeGreaterThanOrEqual(2_000);
  });

  it("is sent when a server comes in time", async () => {
    const gone = await RawServer.listen();
    const { port } = gone;
    await gone[Symbol.asyncDispose]();
    await using channel = channelTo(port);
    await callOnce(channel);
    const answer = channel.unaryCall("/a/b", [], Buffer.from("x"), { holdMs: 10_000 });
    await using server = await RawServer.listen([], port);
    const peer = await server.next();
    await peer.frameOf(FrameType.data, 1);
    peer.send(unaryAnswer(1, "late but here"));
    expect((await answer).payload.toString()).toBe("late but here");
  });

  it("ends with 4 when its deadline comes before its hold is over", async () => {
    const gone = await RawServer.listen();
    const { port } = gone;
    await gone[Symbol.asyncDispose]();
    await using channel = channelTo(port);
    await callOnce(channel);
    const deadlineAt = performance.now() + 50;
    await expect(
      channel.unaryCall("/a/b", [], Buffer.alloc(0), { holdMs: 10_000, deadlineAt }),
    ).rejects.toMatchObject({ code: 4, progress: "notSent" });
    expect(performance.now()).toBeGreaterThanOrEqual(deadlineAt);
  });
});

describe("rule 43: deadlines", () => {
  it("announces what is left at the moment of sending, and nothing without a deadline", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const end = { onMessage: () => {}, onEnd: () => {} };
    channel.open("/a/b", [], { deadlineAt: performance.now() + 10_000 }, end);
    channel.open("/a/b", [], {}, end);
    const peer = await server.next();
    const first = await peer.frameOf(FrameType.headers, 1);
    const second = await peer.frameOf(FrameType.headers, 3);
    const announced = Number(first.fields?.["grpc-timeout"]?.replace("m", ""));
    expect(announced).toBeGreaterThan(5000);
    expect(announced).toBeLessThanOrEqual(10_000);
    expect(second.fields).not.toHaveProperty("grpc-timeout");
  });

  it("does not send a call whose time is spent", async () => {
    await using test = await startServer();
    await using channel = channelTo(test.port);
    await channel.unaryCall("/a/b", [], Buffer.from("x"));
    await expect(
      channel.unaryCall("/a/b", [], Buffer.from("x"), { deadlineAt: performance.now() }),
    ).rejects.toMatchObject({ code: 4, progress: "notSent" });
    expect(test.calls).toHaveLength(1);
  });

  it("a server answers 4 by itself, and tells the handler", async () => {
    const reasons: unknown[] = [];
    await using test = await startServer({
      onCall: () => ({
        onMessage: () => {},
        onHalfClose: () => {},
        onCancel: (reason) => reasons.push(reason),
      }),
    });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1, [...requestHeaders, ["grpc-timeout", "30m"]], true));
    expect((await peer.trailers(1)).fields).toMatchObject({
      "grpc-status": "4",
      "grpc-message": "context deadline exceeded",
    });
    expect(reasons).toEqual([{ t: "deadline" }]);
    expect(test.server.counters.callsTimedOut).toBe(1);
  });

  it("a call that ran out of time is reset upstream", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const answer = channel.unaryCall("/a/b", [], Buffer.from("x"), { deadlineAt: performance.now() + 1_000 });
    const peer = await server.next();
    await expect(answer).rejects.toMatchObject({ code: 4, progress: "sent" });
    expect((await peer.frameOf(FrameType.rstStream, 1)).payload.readUInt32BE(0)).toBe(ErrorCode.cancel);
  });
});
