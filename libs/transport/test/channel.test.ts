import { Buffer } from "node:buffer";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { ErrorCode, FrameType, SettingId } from "../src/http2/constants.ts";
import { Channel, type ChannelState, type Outcome, Server } from "../src/index.ts";
import { echo, startServer } from "./support/echo-server.ts";
import {
  data,
  frame,
  goaway,
  headers,
  message,
  type Pairs,
  ping,
  rst,
  unaryAnswer,
} from "./support/frames.ts";
import { type RawPeer, RawServer } from "./support/raw-peer.ts";

const ok: Pairs = [
  [":status", "200"],
  ["content-type", "application/grpc"],
];

function channelTo(port: number, options: Partial<ConstructorParameters<typeof Channel>[0]> = {}): Channel {
  return new Channel({
    endpoint: { host: "127.0.0.1", port },
    backoff: { baseMs: 5, maxMs: 10 },
    ...options,
  });
}

interface Seen {
  readonly log: string[];
  readonly outcome: Promise<Outcome>;
}

/** Opens a call without sending, and writes down what comes. */
function open(channel: Channel, options = {}): Seen & { readonly call: ReturnType<Channel["open"]> } {
  const log: string[] = [];
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const call = channel.open("/a/b", [], options, {
    onHeaders: (metadata) => log.push(`headers ${metadata.join()}`),
    onMessage: (payload) => log.push(payload.toString()),
    onEnd: (outcome) => {
      log.push(`end ${outcome.code}`);
      resolve(outcome);
    },
  });
  return { log, outcome: promise, call };
}

describe("what a server answers becomes a status", () => {
  const answers: readonly {
    what: string;
    send: readonly Buffer[];
    code: number;
    text?: string | RegExp;
    log?: readonly string[];
  }[] = [
    { what: "a good answer", send: [unaryAnswer(1, "hi")], code: 0, log: ["headers ", "hi", "end 0"] },
    {
      what: "trailers only",
      send: [headers(1, [...ok, ["grpc-status", "7"], ["grpc-message", "no%21"]], true)],
      code: 7,
      text: "no!",
      log: ["end 7"],
    },
    {
      what: "trailers only with an HTTP error",
      send: [
        headers(
          1,
          [
            [":status", "415"],
            ["content-type", "application/grpc"],
            ["grpc-status", "3"],
          ],
          true,
        ),
      ],
      code: 3,
    },
    { what: "HTTP 503", send: [headers(1, [[":status", "503"]], true)], code: 14, text: /503/ },
    {
      what: "HTTP 401 with a body",
      send: [
        headers(1, [
          [":status", "401"],
          ["content-type", "text/html"],
        ]),
        data(1, "<html>", true),
      ],
      code: 16,
    },
    {
      what: "another content-type",
      send: [
        headers(1, [
          [":status", "200"],
          ["content-type", "text/html"],
        ]),
      ],
      code: 2,
    },
    {
      what: "informational headers first",
      send: [
        headers(1, [
          [":status", "103"],
          ["link", "x"],
        ]),
        unaryAnswer(1),
      ],
      code: 0,
      log: ["headers ", "hello", "end 0"],
    },
    {
      what: "no trailers",
      send: [headers(1, ok), data(1, message("x"), true)],
      code: 13,
      text: /without sending trailers/,
      log: ["headers ", "x", "end 13"],
    },
    { what: "trailers without a status", send: [headers(1, ok), headers(1, [["x", "y"]], true)], code: 13 },
    {
      what: "a status that is no number",
      send: [headers(1, ok), headers(1, [["grpc-status", "ok"]], true)],
      code: 13,
    },
    {
      what: "a status of the future",
      send: [headers(1, ok), headers(1, [["grpc-status", "99"]], true)],
      code: 99,
    },
    {
      what: "a message cut off by trailers",
      send: [
        headers(1, ok),
        data(1, Buffer.from([0, 0, 0, 0, 5, 1])),
        headers(1, [["grpc-status", "0"]], true),
      ],
      code: 13,
    },
    { what: "a compressed message", send: [headers(1, ok), data(1, Buffer.from([1, 0, 0, 0, 0]))], code: 13 },
    { what: "an encoding", send: [headers(1, [...ok, ["grpc-encoding", "gzip"]])], code: 13 },
    { what: "data before headers", send: [data(1, message("x"))], code: 13 },
    { what: "headers twice", send: [headers(1, ok), headers(1, ok)], code: 13 },
    { what: "no :status", send: [headers(1, [["x", "y"]])], code: 13 },
    { what: "a malformed header", send: [headers(1, [...ok, ["X", "y"]])], code: 13 },
    { what: "a reset", send: [rst(1, ErrorCode.enhanceYourCalm)], code: 8 },
    { what: "a reset after a full answer", send: [unaryAnswer(1), rst(1, ErrorCode.noError)], code: 0 },
    {
      what: "a frame that breaks the connection",
      send: [frame(FrameType.settings, 0, 1)],
      code: 14,
      text: /SETTINGS on a stream/,
    },
    { what: "PUSH_PROMISE", send: [frame(FrameType.pushPromise, 4, 1, Buffer.from([0, 0, 0, 2]))], code: 14 },
  ];
  it.each(answers)("$what: $code", async ({ send, code, text, log }) => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const seen = open(channel);
    seen.call.sendMessage(Buffer.from("x"), true);
    const peer = await server.next();
    await peer.frameOf(FrameType.data, 1);
    peer.send(...send);
    const outcome = await seen.outcome;
    expect(outcome.code).toBe(code);
    if (text !== undefined) expect(outcome.message).toMatch(text);
    if (log !== undefined) expect(seen.log).toEqual(log);
    expect(seen.log.filter((line) => line.startsWith("end"))).toHaveLength(1);
  });
});

describe("a call of a channel", () => {
  async function started(
    use: (seen: ReturnType<typeof open>, peer: RawPeer, channel: Channel) => Promise<void>,
    options = {},
  ): Promise<void> {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const seen = open(channel, options);
    const peer = await server.next();
    await peer.frameOf(FrameType.headers, 1);
    await use(seen, peer, channel);
  }

  it("sends what was written before there was a connection, in order", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const { call } = open(channel);
    call.sendMessage(Buffer.from("one"));
    call.sendFramed(message("two"));
    call.halfClose();
    const peer = await server.next();
    await peer.frame("END_STREAM", ({ type, flags }) => type === FrameType.data && flags === 1);
    expect(peer.body(1)).toEqual(Buffer.concat([message("one"), message("two")]));
  });

  it("half-closes with an empty frame when all was sent before", async () => {
    await started(async ({ call }, peer) => {
      call.sendMessage(Buffer.from("x"));
      await peer.frameOf(FrameType.data, 1);
      call.halfClose();
      const last = await peer.frame(
        "END_STREAM",
        ({ type, flags }) => type === FrameType.data && flags === 1,
      );
      expect(last.payload).toHaveLength(0);
      expect(call.sendMessage(Buffer.from("late"))).toBe(false);
    });
  });

  it("can be cancelled: CANCEL goes out, and the sink hears 1", async () => {
    await started(async ({ call, outcome }, peer) => {
      call.cancel();
      expect(await outcome).toMatchObject({ code: 1, progress: "sent" });
      expect((await peer.frameOf(FrameType.rstStream, 1)).payload.readUInt32BE(0)).toBe(ErrorCode.cancel);
    });
  });

  it.each([
    ["before its deadline is cancelled", 4_000, 1, "stream was reset by the server with code 8"],
    ["after it is out of time: who sees that first is chance", 6_000, 4, "context deadline exceeded"],
  ])("that the server resets with CANCEL %s", async (_, passedMs, code, text) => {
    const options = { deadlineAt: performance.now() + 5_000 };
    await started(async ({ outcome }, peer) => {
      const clock = vi.spyOn(performance, "now").mockReturnValue(performance.now() + passedMs);
      try {
        peer.send(rst(1, ErrorCode.cancel));
        expect(await outcome).toMatchObject({ code, message: text, progress: "sent" });
      } finally {
        clock.mockRestore();
      }
    }, options);
  });

  it("may be answered long after it was cancelled, which disturbs nobody", async () => {
    await started(async ({ call, outcome }, peer, channel) => {
      call.cancel();
      await outcome;
      for (let i = 0; i < 300; i++) {
        const answer = channel.unaryCall("/a/b", [], Buffer.from("x"));
        await peer.frameOf(FrameType.data, 3 + i * 2);
        peer.send(unaryAnswer(3 + i * 2));
        await answer;
      }
      peer.send(unaryAnswer(1));
      const last = channel.unaryCall("/a/b", [], Buffer.from("x"));
      await peer.frameOf(FrameType.data, 603);
      peer.send(unaryAnswer(603));
      await last;
      expect(channel.counters).toMatchObject({ connectionsOpened: 1, protocolErrors: 0 });
    });
  });

  it("can be aborted by a signal, before or after it began", async () => {
    const controller = new AbortController();
    await started(
      async ({ outcome }, _peer, channel) => {
        controller.abort();
        expect(await outcome).toMatchObject({ code: 1 });
        expect(await open(channel, { signal: controller.signal }).outcome).toMatchObject({ code: 1 });
      },
      { signal: controller.signal },
    );
  });

  it("heeds the window of the server, and says when there is room again", async () => {
    await using server = await RawServer.listen([[SettingId.initialWindowSize, 10]]);
    await using channel = channelTo(server.port);
    const drained = Promise.withResolvers<void>();
    const call = channel.open(
      "/a/b",
      [],
      {},
      { onMessage: () => {}, onEnd: () => {}, onDrain: () => drained.resolve() },
    );
    const peer = await server.next();
    await peer.frameOf(FrameType.headers, 1);
    expect(call.sendMessage(Buffer.alloc(5))).toBe(true);
    expect(call.sendMessage(Buffer.alloc(5))).toBe(false);
    peer.send(frame(FrameType.windowUpdate, 0, 1, Buffer.from([0, 0, 0, 100])));
    await drained.promise;
    expect(call.writable).toBe(true);
  });

  it("hands out held messages before the end, though the server is long done", async () => {
    await started(async ({ call, log, outcome }, peer) => {
      call.pause();
      peer.send(unaryAnswer(1, "held"), ping("arrived!"));
      await peer.frame("ACK", ({ flags, type }) => type === FrameType.ping && flags === 1);
      expect(log).toEqual(["headers "]);
      call.resume();
      expect(await outcome).toMatchObject({ code: 0 });
      expect(log).toEqual(["headers ", "held", "end 0"]);
    });
  });

  it("of which the sink throws is cancelled, and the channel goes on", async () => {
    await using test = await startServer();
    const errors: unknown[] = [];
    await using channel = channelTo(test.port, { onSinkError: (error) => errors.push(error) });
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    channel
      .open(
        "/a/b",
        [],
        {},
        {
          onMessage: () => {
            throw new Error("bug");
          },
          onEnd: resolve,
        },
      )
      .sendMessage(Buffer.from("x"), true);
    expect(await promise).toMatchObject({ code: 13 });
    expect(errors).toEqual([new Error("bug")]);
    expect((await channel.unaryCall("/a/b", [], Buffer.from("y"))).payload.toString()).toBe("y");
  });

  it.each([0, 2])("unary with %d messages is an error", async (count) => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const answer = channel.unaryCall("/a/b", [], Buffer.from("x"));
    const peer = await server.next();
    await peer.frameOf(FrameType.data, 1);
    peer.send(
      headers(1, ok),
      ...Array.from({ length: count }, () => data(1, message("x"))),
      headers(1, [["grpc-status", "0"]], true),
    );
    await expect(answer).rejects.toMatchObject({ code: 13 });
  });
});

describe("connections of a channel", () => {
  it("go through their states, and come back after a loss", async () => {
    const states: ChannelState["t"][] = [];
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port, { onState: ({ t }) => states.push(t) });
    expect(channel.state.t).toBe("idle");
    channel.connect();
    const first = await server.next();
    await expect.poll(() => channel.state.t).toBe("ready");
    first.socket.destroy();
    await expect.poll(() => channel.state.t).toBe("idle");
    const seen = open(channel);
    const second = await server.next();
    await second.frameOf(FrameType.headers, 1);
    seen.call.cancel();
    await seen.outcome;
    await channel.close(0);
    expect(states).toEqual(["connecting", "ready", "idle", "connecting", "ready", "shutdown"]);
    await expect(channel.unaryCall("/a/b", [], Buffer.alloc(0))).rejects.toMatchObject({
      code: 14,
      progress: "notSent",
    });
  });

  it("after GOAWAY end their calls while new ones go elsewhere", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const old = open(channel);
    const first = await server.next();
    await first.frameOf(FrameType.headers, 1);
    first.send(goaway(0x7fff_ffff, ErrorCode.noError), goaway(1, ErrorCode.noError));
    await expect.poll(() => channel.state.t).toBe("idle");
    const fresh = open(channel);
    const second = await server.next();
    await second.frameOf(FrameType.headers, 1);
    old.call.halfClose();
    first.send(unaryAnswer(1, "old"));
    await old.outcome;
    await first.closed();
    fresh.call.halfClose();
    second.send(unaryAnswer(1, "new"));
    await fresh.outcome;
    expect([old.log.at(1), fresh.log.at(1)]).toEqual(["old", "new"]);
  });

  it("are pinged when silent while calls are open, and dropped when they do not answer", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port, { keepalive: { timeMs: 30, timeoutMs: 60 } });
    const { outcome } = open(channel);
    const peer = await server.next();
    await peer.frameOf(FrameType.ping);
    expect(await outcome).toMatchObject({ code: 14, message: "keepalive timeout" });
    expect(channel.counters.keepaliveTimeouts).toBe(1);
  });

  it("ping half as often once the server has said too_many_pings", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port, { keepalive: { timeMs: 100, timeoutMs: 60_000 } });
    const first = open(channel);
    const peer = await server.next();
    await peer.frameOf(FrameType.ping);
    peer.send(goaway(1, ErrorCode.enhanceYourCalm, "too_many_pings"));
    peer.socket.end();
    await first.outcome;
    const started = performance.now();
    open(channel);
    const second = await server.next();
    await second.frameOf(FrameType.ping);
    expect(performance.now() - started).toBeGreaterThan(180);
  });

  it("may lead to a unix socket", async () => {
    const folder = await mkdtemp(join(tmpdir(), "etcd-edge-"));
    const path = join(folder, "grpc.sock");
    await using server = new Server<undefined>({ createData: () => undefined, onCall: echo });
    await server.listen({ path });
    await using channel = new Channel({ endpoint: { path } });
    expect((await channel.unaryCall("/a/b", [], Buffer.from("x"))).payload.toString()).toBe("x");
    await rm(folder, { recursive: true });
  });

  it("end in peace on close: open calls finish, then the sockets close", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const seen = open(channel);
    const peer = await server.next();
    await peer.frameOf(FrameType.headers, 1);
    const closed = channel.close(10_000);
    seen.call.halfClose();
    peer.send(unaryAnswer(1));
    expect(await seen.outcome).toMatchObject({ code: 0 });
    await closed;
    await peer.closed();
    await channel.close(0);
  });

  it("carry token and path in the table: a later call is a few bytes", async () => {
    await using server = await RawServer.listen();
    await using channel = channelTo(server.port);
    const sink = { onMessage: () => {}, onEnd: () => {} };
    for (let i = 0; i < 3; i++) channel.open("/etcdserverpb.KV/Range", ["token", "abcdefgh.12345"], {}, sink);
    const peer = await server.next();
    const first = await peer.frameOf(FrameType.headers, 1);
    const third = await peer.frameOf(FrameType.headers, 5);
    expect(third.fields).toEqual(first.fields);
    expect(third.payload.length).toBe(8);
  });
});
