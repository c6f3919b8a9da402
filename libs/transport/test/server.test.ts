import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer as createHttpServer, request as httpRequest } from "node:http";
import { connect as connectNet } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { describe, expect, it } from "vitest";
import { ErrorCode, FrameType, SettingId } from "../src/http2/constants.ts";
import { Channel, frameMessage, type ServerCall } from "../src/index.ts";
import { certificate, certificateKey } from "./support/certificate.ts";
import { startServer, type TestServer } from "./support/echo-server.ts";
import {
  data,
  headers,
  message,
  type Pairs,
  requestHeaders,
  rst,
  unaryRequest,
  windowUpdate,
} from "./support/frames.ts";
import { connectRaw } from "./support/raw-peer.ts";

const replaced = (name: string, value: string): Pairs =>
  requestHeaders.map(([key, old]) => [key, key === name ? value : old]);
const ignore = { onMessage: () => {}, onHalfClose: () => {}, onCancel: () => {} };

describe("requests that are no calls are answered by the server", () => {
  it.each([
    {
      what: "another content-type",
      pairs: replaced("content-type", "text/plain"),
      http: "415",
      code: "3",
      text: 'invalid gRPC request content-type "text/plain"',
    },
    {
      what: "grpc-web",
      pairs: replaced("content-type", "application/grpc-web"),
      http: "415",
      code: "3",
      text: 'invalid gRPC request content-type "application/grpc-web"',
    },
    {
      what: "no content-type",
      pairs: requestHeaders.filter(([name]) => name !== "content-type"),
      http: "415",
      code: "3",
      text: 'invalid gRPC request content-type ""',
    },
    {
      what: "another method",
      pairs: replaced(":method", "PUT"),
      http: "405",
      code: "13",
      text: "method PUT is not POST",
    },
    {
      what: "a malformed timeout",
      pairs: [...requestHeaders, ["grpc-timeout", "1x"]] satisfies Pairs,
      http: "400",
      code: "13",
      text: "malformed grpc-timeout",
    },
    {
      what: "an encoding",
      pairs: [...requestHeaders, ["grpc-encoding", "gzip"]] satisfies Pairs,
      http: "200",
      code: "12",
      text: 'grpc: Decompressor is not installed for grpc-encoding "gzip"',
    },
  ])("$what", async ({ pairs, http, code, text }) => {
    await using test = await startServer();
    await using peer = await connectRaw(test.port);
    peer.send(headers(1, pairs), data(1, message("x"), true), unaryRequest(3));
    expect((await peer.trailers(1)).fields).toMatchObject({
      ":status": http,
      "grpc-status": code,
      "grpc-message": text,
    });
    // Its body, sent before the answer was seen, disturbs nothing.
    expect((await peer.trailers(3)).fields?.["grpc-status"]).toBe("0");
    expect(test.calls).toHaveLength(1);
    expect(test.server.counters.callsRejected).toBe(1);
  });

  it.each(["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"])(
    "takes %s",
    async (type) => {
      await using test = await startServer();
      await using peer = await connectRaw(test.port);
      peer.send(unaryRequest(1, "x", replaced("content-type", type)));
      expect((await peer.trailers(1)).fields?.["grpc-status"]).toBe("0");
    },
  );

  it.each([
    { what: "a compressed message", bytes: Buffer.from([1, 0, 0, 0, 0]), text: "compressed" },
    { what: "an unknown flag", bytes: Buffer.from([7, 0, 0, 0, 0]), text: "flag 7" },
    { what: "an end inside a message", bytes: Buffer.from([0, 0, 0, 0, 9, 1]), text: "inside a message" },
    { what: "an end inside a prefix", bytes: Buffer.from([0, 0]), text: "inside a message" },
  ])("$what ends its call with 13", async ({ bytes, text }) => {
    const reasons: unknown[] = [];
    await using test = await startServer({
      onCall: () => ({ ...ignore, onCancel: (reason) => reasons.push(reason) }),
    });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1), data(1, bytes, true));
    const { fields } = await peer.trailers(1);
    expect(fields?.["grpc-status"]).toBe("13");
    expect(fields?.["grpc-message"]).toContain(text);
    expect(reasons).toEqual([expect.objectContaining({ t: "rejected", code: 13 })]);
  });
});

describe("a call", () => {
  async function withCall(
    use: (
      call: ServerCall<undefined>,
      peer: Awaited<ReturnType<typeof connectRaw>>,
      test: TestServer,
    ) => Promise<void>,
  ): Promise<void> {
    await using test = await startServer({ onCall: () => ignore });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1));
    await expect.poll(() => test.calls.length).toBe(1);
    const [call] = test.calls;
    if (call !== undefined) await use(call, peer, test);
  }

  it("shows path, authority, metadata in order, and the peer", async () => {
    await using test = await startServer();
    await using peer = await connectRaw(test.port);
    peer.send(
      headers(1, [
        ...requestHeaders,
        ["a", "1"],
        ["x-bin", "AAEC"],
        ["a", "2"],
        ["grpc-timeout", "5S"],
        ["user-agent", "u"],
      ]),
      data(1, "", true),
    );
    await peer.trailers(1);
    const [call] = test.calls;
    expect(call?.path).toBe("/test.Service/Method");
    expect(call?.authority).toBe("localhost");
    expect(call?.metadata).toEqual(["a", "1", "x-bin", "AAEC", "a", "2", "user-agent", "u"]);
    expect(call?.remainingMs()).toBeGreaterThan(3000);
    expect(call?.client.peer.address).toBe("127.0.0.1");
    expect(call?.client.peerCertificate).toBeUndefined();
  });

  it("ends by trailers only when nothing was sent", async () => {
    await withCall(async (call, peer) => {
      call.end({
        code: 5,
        message: "ü not found%",
        metadata: ["grpc-status-details-bin", "CAU", "a", "1", "a", "2"],
      });
      expect((await peer.trailers(1)).fields).toMatchObject({
        ":status": "200",
        "content-type": "application/grpc",
        "grpc-status": "5",
        "grpc-message": "%C3%BC not found%25",
        "grpc-status-details-bin": "CAU",
      });
      // The client had not ended: it may stop sending.
      expect((await peer.frameOf(FrameType.rstStream, 1)).payload.readUInt32BE(0)).toBe(ErrorCode.noError);
    });
  });

  it("sends headers, messages in every form, and trailers in order", async () => {
    await withCall(async (call, peer) => {
      call.sendHeaders(["h", "1"]);
      call.sendHeaders(["h", "ignored"]);
      call.sendMessage(Buffer.from("one"));
      call.sendMessageParts(Buffer.from("tw"), Buffer.from("o"));
      call.sendFramed(Buffer.concat([frameMessage(Buffer.from("three")), frameMessage(Buffer.from(""))]));
      call.end({ code: 0, metadata: ["t", "2"] });
      expect(call.sendMessage(Buffer.from("late"))).toBe(false);
      call.end({ code: 13 });
      const trailers = await peer.trailers(1);
      expect(trailers.fields).toEqual({ "grpc-status": "0", t: "2" });
      expect((await peer.frameOf(FrameType.headers, 1)).fields).toMatchObject({ h: "1" });
      expect(peer.body(1)).toEqual(
        Buffer.concat([message("one"), message("two"), message("three"), message("")]),
      );
    });
  });

  it("refuses metadata that cannot be sent", async () => {
    await withCall(async (call, peer) => {
      expect(() => call.sendHeaders(["Bad", "x"])).toThrow(TypeError);
      expect(() => call.end({ code: 0, metadata: ["a", "b\n"] })).toThrow(TypeError);
      call.end();
      expect((await peer.trailers(1)).fields?.["grpc-status"]).toBe("0");
    });
  });

  it("splits a header block that is longer than a frame", async () => {
    await withCall(async (call, peer) => {
      call.end({ code: 0, metadata: ["a", "x".repeat(20_000)] });
      const last = await peer.frame(
        "CONTINUATION",
        ({ type, flags }) => type === FrameType.continuation && flags === 4,
      );
      const first = await peer.frameOf(FrameType.headers, 1);
      expect([first.flags, first.payload.length]).toEqual([1, 16_384]);
      expect(last.payload.length).toBeGreaterThan(3000);
    });
  });

  it("hears of a reset, once", async () => {
    const reasons: unknown[] = [];
    await using test = await startServer({
      onCall: () => ({ ...ignore, onCancel: (reason) => reasons.push(reason) }),
    });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1), rst(1, ErrorCode.cancel));
    await expect.poll(() => reasons).toEqual([{ t: "reset", code: 8 }]);
    expect(test.calls[0]?.isEnded).toBe(true);
  });

  it("hears of a lost connection", async () => {
    const reasons: unknown[] = [];
    await using test = await startServer({
      onCall: () => ({ ...ignore, onCancel: (reason) => reasons.push(reason) }),
    });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1));
    await expect.poll(() => test.calls.length).toBe(1);
    peer.socket.destroy();
    await expect.poll(() => reasons).toEqual([expect.objectContaining({ t: "connectionLost" })]);
  });

  it("can be paused and resumed from inside a message, in order and without loss", async () => {
    const log: string[] = [];
    await using test = await startServer({
      onCall: (call) => ({
        ...ignore,
        onMessage: (payload) => {
          log.push(payload.toString());
          call.pause();
          setImmediate(() => {
            call.resume();
            if (log.length === 3) {
              call.pause();
              call.resume();
            }
          });
        },
        onHalfClose: () => {
          log.push("end");
          call.end();
        },
      }),
    });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1), data(1, Buffer.concat(["a", "b", "c", "d", "e"].map(message)), true));
    await peer.trailers(1);
    expect(log).toEqual(["a", "b", "c", "d", "e", "end"]);
  });

  it("whose deadline passes while its answer waits for window is let go", async () => {
    await using test = await startServer({
      onCall: (call) => ({ ...ignore, onMessage: () => call.respond(Buffer.alloc(100)) }),
    });
    await using peer = await connectRaw(test.port, [[SettingId.initialWindowSize, 0]]);
    peer.send(headers(1, [...requestHeaders, ["grpc-timeout", "60m"]]), data(1, message("x"), true));
    const reset = await peer.frameOf(FrameType.rstStream, 1);
    expect(reset.payload.readUInt32BE(0)).toBe(ErrorCode.cancel);
    expect([...test.server.connections][0]?.queued.used).toBe(0);
  });

  it("that was ended takes no more, though the end waits for window", async () => {
    await using test = await startServer({
      onCall: (call) => ({ ...ignore, onMessage: () => call.respond(Buffer.alloc(100)) }),
    });
    await using peer = await connectRaw(test.port, [[SettingId.initialWindowSize, 0]]);
    const endless = Buffer.concat([Buffer.from([0, 0, 0x10, 0, 0]), Buffer.alloc(10_000)]);
    peer.send(headers(1), data(1, message("x")), data(1, endless), data(1, endless), windowUpdate(1, 1000));
    expect((await peer.trailers(1)).fields?.["grpc-status"]).toBe("0");
    expect([...test.server.connections][0]?.held.used).toBe(0);
  });

  it("of which the handler throws ends with 13, and the others go on", async () => {
    await using test = await startServer({
      onCall: (call) => ({
        ...ignore,
        onMessage: () => {
          if (call.id === 1) throw new Error("bug");
          call.respond(Buffer.from("fine"));
        },
      }),
    });
    await using peer = await connectRaw(test.port);
    peer.send(unaryRequest(1), unaryRequest(3));
    expect((await peer.trailers(1)).fields?.["grpc-status"]).toBe("13");
    expect((await peer.trailers(3)).fields?.["grpc-status"]).toBe("0");
    expect(test.events).toContainEqual(
      expect.objectContaining({ t: "handlerFailed", error: new Error("bug") }),
    );
  });
});

describe("HTTP/1 on the same port", () => {
  it("is handed to the HTTP server with its first bytes, however they are cut", async () => {
    const http1 = createHttpServer((request, response) => {
      request.toArray().then(
        (chunks: Buffer[]) => response.end(`${request.method} ${request.url} ${Buffer.concat(chunks)}`),
        () => response.destroy(),
      );
    });
    await using test = await startServer({ http1 });
    const socket = connectNet(test.port, "127.0.0.1");
    let answer = "";
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString();
    });
    for (const part of [
      "P",
      "OST /health HT",
      "TP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-len",
      "gth: 4\r\n\r\nbo",
      "dy",
    ]) {
      await new Promise((resolve) => socket.write(part, resolve));
    }
    await once(socket, "close");
    expect(answer).toContain("POST /health body");
    expect(test.server.counters.http1Connections).toBe(1);
  });

  it("knows the times and the idle connections of HTTP/1.1, though another listens", async () => {
    const times = { headersTimeout: 200, connectionsCheckingInterval: 50 };
    const http1 = createHttpServer(times, (_request, response) => response.end("ok"));
    await using test = await startServer({ http1 });
    const slow = connectNet(test.port, "127.0.0.1");
    slow.write("GET / HTTP/1.1\r\nHost:");
    const [answer] = await once(slow, "data");
    expect(String(answer)).toMatch(/^HTTP\/1\.1 408 /);
    const idle = connectNet(test.port, "127.0.0.1");
    idle.on("error", () => {});
    idle.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await once(idle, "data");
    const closed = once(idle, "close");
    http1.closeIdleConnections();
    await closed;
    http1.close();
  });

  it("keeps connections alive, beside HTTP/2 on others", async () => {
    const http1 = createHttpServer((_request, response) => response.end("ok"));
    await using test = await startServer({ http1 });
    await using peer = await connectRaw(test.port);
    for (let i = 0; i < 2; i++) {
      const request = httpRequest({ port: test.port, host: "127.0.0.1", path: "/health" }).end();
      const [response] = await once(request, "response");
      expect(response.statusCode).toBe(200);
      response.resume();
      await once(response, "end");
    }
    peer.send(unaryRequest(1));
    await peer.trailers(1);
    http1.closeAllConnections();
  });

  it("is closed where none is wanted", async () => {
    await using test = await startServer();
    const socket = connectNet(test.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\n\r\n");
    await once(socket, "close");
    expect(test.server.counters.unknownProtocolConnections).toBe(1);
  });
});

describe("TLS", () => {
  const tls = { cert: certificate, key: certificateKey };
  const trust = { ca: certificate, host: "127.0.0.1" };

  async function handshake(port: number, protocols: string[]): Promise<TLSSocket> {
    const socket = connectTls({ ...trust, port, ALPNProtocols: protocols });
    await once(socket, "secureConnect");
    return socket;
  }

  it("chooses h2 wherever it is offered", async () => {
    await using test = await startServer({ tls, http1: createHttpServer() });
    const socket = await handshake(test.port, ["http/1.1", "h2"]);
    expect(socket.alpnProtocol).toBe("h2");
    socket.destroy();
  });

  it("answers an offer of http/1.1 alone with HTTP/1.1", async () => {
    const http1 = createHttpServer((_request, response) => response.end("over TLS"));
    await using test = await startServer({ tls, http1 });
    const socket = await handshake(test.port, ["http/1.1"]);
    let answer = "";
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString();
    });
    socket.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    await once(socket, "close");
    expect(answer).toContain("over TLS");
  });

  it("refuses an offer of other protocols by the alert no_application_protocol", async () => {
    await using test = await startServer({ tls });
    const socket = connectTls({ ...trust, port: test.port, ALPNProtocols: ["spdy/3"] });
    const [error] = await once(socket, "error");
    expect(error.code).toBe("ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL");
    expect(test.server.counters.tlsErrors).toBe(1);
  });

  it("tells the protocol by its bytes without ALPN, and shows client certificates", async () => {
    await using test = await startServer({
      tls: { ...tls, requestCert: true, ca: certificate, rejectUnauthorized: true },
    });
    await using channel = new Channel({
      endpoint: { host: "127.0.0.1", port: test.port },
      tls: { ca: certificate, ...tls },
    });
    const { payload } = await channel.unaryCall("/a/b", [], Buffer.from("secret"));
    expect(payload.toString()).toBe("secret");
    expect(test.calls[0]?.client.peerCertificate?.subject.CN).toBe("localhost");
    expect(test.calls[0]?.client.isSecure).toBe(true);
  });

  it("carries large answers", async () => {
    await using test = await startServer({ tls });
    await using channel = new Channel({
      endpoint: { host: "127.0.0.1", port: test.port },
      tls: { ca: certificate },
    });
    const large = Buffer.alloc(3_000_000, "abcdefghijk");
    const { payload } = await channel.unaryCall("/a/b", [], large);
    expect(payload.equals(large)).toBe(true);
  });

  it("gives up handshakes that do not finish, and plaintext", async () => {
    await using test = await startServer({ tls, limits: { handshakeTimeoutMs: 60 } });
    const silent = connectNet(test.port, "127.0.0.1");
    const plain = connectNet(test.port, "127.0.0.1");
    for (const socket of [silent, plain]) socket.on("error", () => {}).resume();
    plain.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await Promise.all([once(silent, "close"), once(plain, "close")]);
    expect(test.server.counters.handshakeTimeouts).toBe(1);
    expect(test.server.counters.tlsErrors).toBe(1);
  });

  it("refuses a server that does not choose h2", async () => {
    const { createServer } = await import("node:tls");
    const old = createServer({ ...tls, ALPNProtocols: [] }, (socket) => socket.resume());
    old.listen(0, "127.0.0.1");
    await once(old, "listening");
    const address = old.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    await using channel = new Channel({ endpoint: { host: "127.0.0.1", port }, tls: { ca: certificate } });
    await expect(channel.unaryCall("/a/b", [], Buffer.alloc(0))).rejects.toThrow(/ALPN/);
    old.close();
  });
});

describe("closing", () => {
  it("waits for calls, then closes", async () => {
    await using test = await startServer({ onCall: () => ignore });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1));
    await expect.poll(() => test.calls.length).toBe(1);
    const closed = test.server.close(10_000);
    const ping = await peer.frameOf(FrameType.ping);
    peer.send(Buffer.concat([Buffer.from([0, 0, 8, 6, 1, 0, 0, 0, 0]), ping.payload]));
    await peer.count(2, ({ type }) => type === FrameType.goaway);
    test.calls[0]?.end();
    await peer.trailers(1);
    await closed;
    expect(test.server.connections.size).toBe(0);
  });

  it("cuts what is left when the grace time is over", async () => {
    await using test = await startServer({ onCall: () => ignore });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1));
    await expect.poll(() => test.calls.length).toBe(1);
    await test.server.close(30);
    await peer.closed();
    expect(test.server.connections.size).toBe(0);
  });

  it("may be done twice, and refuses newcomers", async () => {
    await using test = await startServer({ onCall: () => ignore });
    await using peer = await connectRaw(test.port);
    peer.send(headers(1));
    await expect.poll(() => test.calls.length).toBe(1);
    await Promise.all([test.server.close(60_000), test.server.close(10)]);
    await test.server.close(0);
    const socket = connectNet(test.port, "127.0.0.1");
    const [error] = await once(socket, "error");
    expect(error.code).toBe("ECONNREFUSED");
  });
});
