import { Buffer } from "node:buffer";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { credentials, Metadata, makeGenericClientConstructor, type ServiceError } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { certificate, certificateKey } from "./support/certificate.ts";
import { startServer } from "./support/echo-server.ts";
import { message } from "./support/frames.ts";

const execute = promisify(execFile);

const identity = (value: Buffer): Buffer => value;
const method = (
  requestStream: boolean,
  responseStream: boolean,
  path: string,
): Parameters<typeof makeGenericClientConstructor>[0][string] => ({
  path,
  requestStream,
  responseStream,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
});
const EchoClient = makeGenericClientConstructor(
  {
    unary: method(false, false, "/echo.Echo/Unary"),
    fail: method(false, false, "/echo.Echo/Fail"),
    hang: method(false, false, "/echo.Echo/Hang"),
    bidi: method(true, true, "/echo.Echo/Bidi"),
  },
  "Echo",
);

/** The echo server, with a method that fails and one that never answers. */
const startEcho: typeof startServer = (options = {}) =>
  startServer({
    ...options,
    onCall: (call) => ({
      onMessage: (payload) => {
        if (call.path.endsWith("Hang")) return;
        if (call.path.endsWith("Fail")) {
          call.end({
            code: 5,
            message: "no such thing: ü",
            metadata: ["why-bin", "AAEC", "why", "a", "why", "b"],
          });
        } else if (!call.sendMessage(payload)) {
          call.pause();
        }
      },
      onDrain: () => call.resume(),
      onHalfClose: () => {
        if (!call.path.endsWith("Hang")) call.end();
      },
      onCancel: () => {},
    }),
  });

describe("@grpc/grpc-js as the client", () => {
  async function withClient(
    use: (
      client: InstanceType<typeof EchoClient>,
      test: Awaited<ReturnType<typeof startEcho>>,
    ) => Promise<void>,
  ): Promise<void> {
    await using test = await startEcho();
    const client = new EchoClient(`127.0.0.1:${test.port}`, credentials.createInsecure());
    try {
      await use(client, test);
    } finally {
      client.close();
    }
  }
  const unary = (
    client: InstanceType<typeof EchoClient>,
    name: string,
    payload: Buffer,
    options = {},
    metadata = new Metadata(),
  ): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      client[name]?.(payload, metadata, options, (error: ServiceError | null, answer: Buffer) =>
        error ? reject(error) : resolve(answer),
      );
    });

  it.each([0, 1, 100, 16_379, 16_380, 100_000, 4_000_000])("unary of %d bytes", async (bytes) => {
    await withClient(async (client) => {
      const payload = Buffer.alloc(bytes, "etcd");
      expect((await unary(client, "unary", payload)).equals(payload)).toBe(true);
    });
  });

  it("metadata, status, details and deadline", async () => {
    await withClient(async (client, test) => {
      const metadata = new Metadata();
      metadata.add("token", "abc");
      metadata.add("blob-bin", Buffer.from([1, 2, 3]));
      const error = await unary(client, "fail", Buffer.from("x"), {}, metadata).catch(
        (reason: ServiceError) => reason,
      );
      expect(error).toMatchObject({ code: 5, details: "no such thing: ü" });
      expect((error as ServiceError).metadata.get("why")).toEqual(["a, b"]);
      expect((error as ServiceError).metadata.get("why-bin")).toEqual([Buffer.from([0, 1, 2])]);
      expect(test.calls[0]?.metadata).toEqual(expect.arrayContaining(["token", "abc", "blob-bin", "AQID"]));
      await expect(
        unary(client, "hang", Buffer.from("x"), { deadline: Date.now() + 100 }),
      ).rejects.toMatchObject({ code: 4 });
      await expect.poll(() => test.calls[1]?.isEnded).toBe(true);
    });
  });

  it("a stream of 2,000 messages both ways, with backpressure", async () => {
    await withClient(async (client) => {
      const call = client["bidi"]?.();
      const received: number[] = [];
      call.on("data", (payload: Buffer) => received.push(payload.readUInt32BE(0)));
      const ended = once(call, "end");
      for (let i = 0; i < 2000; i++) {
        const payload = Buffer.alloc(5000);
        payload.writeUInt32BE(i);
        if (!call.write(payload)) await once(call, "drain");
      }
      call.end();
      await ended;
      expect(received).toEqual(Array.from({ length: 2000 }, (_, i) => i));
    });
  });

  it("drain: open streams end, new calls go on", async () => {
    await withClient(async (client, test) => {
      const call = client["bidi"]?.();
      call.on("error", () => {});
      call.write(Buffer.from("x"));
      await once(call, "data");
      const closed = test.server.close(10_000);
      call.end();
      await once(call, "end");
      await closed;
    });
  });
});

describe("node:http2 as the client", () => {
  it("calls with and without Huffman coding, trailers and ping", async () => {
    await using test = await startEcho();
    const session = connect(`http://127.0.0.1:${test.port}`);
    try {
      const request = session.request({
        ":method": "POST",
        ":path": "/echo.Echo/Unary",
        "content-type": "application/grpc",
        te: "trailers",
        token: "a".repeat(300),
      });
      const trailers = once(request, "trailers");
      request.end(message("hello"));
      const body = Buffer.concat(await request.toArray());
      expect(body.equals(message("hello"))).toBe(true);
      expect((await trailers)[0]).toMatchObject({ "grpc-status": "0" });
      await new Promise((resolve, reject) =>
        session.ping((error) => (error ? reject(error) : resolve(undefined))),
      );
      expect(test.calls[0]?.metadata).toEqual(["token", "a".repeat(300)]);
    } finally {
      session.close();
      await once(session, "close");
    }
  });
});

describe("nghttp2's tools and curl as clients", () => {
  async function withFile(use: (file: string) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), "etcd-edge-"));
    try {
      const file = join(folder, "request.bin");
      await writeFile(file, message("hello"));
      await use(file);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  it("h2load: 5,000 calls, none fails", async () => {
    await using test = await startEcho();
    await withFile(async (file) => {
      const { stdout } = await execute("h2load", [
        "-n",
        "5000",
        "-c",
        "5",
        "-m",
        "20",
        "-d",
        file,
        "-H",
        "content-type: application/grpc",
        "-H",
        "te: trailers",
        `http://127.0.0.1:${test.port}/echo.Echo/Unary`,
      ]);
      expect(stdout).toContain("5000 succeeded, 0 failed, 0 errored, 0 timeout");
      expect(test.server.counters).toMatchObject({ callsEnded: 5000, protocolErrors: 0, streamErrors: 0 });
    });
  });

  it("nghttp: headers, body and trailers of a call, with padding and a lowered table", async () => {
    await using test = await startEcho();
    await withFile(async (file) => {
      const { stdout } = await execute("nghttp", [
        "-v",
        "-n",
        "--padding=64",
        "--header-table-size=0",
        "-d",
        file,
        "-H",
        "content-type: application/grpc",
        "-H",
        "te: trailers",
        `http://127.0.0.1:${test.port}/echo.Echo/Unary`,
      ]);
      expect(stdout).toContain("grpc-status: 0");
      expect(stdout).toContain(":status: 200");
    });
  });

  it("curl: HTTP/2 with prior knowledge, HTTP/1.1, and both over TLS", async () => {
    const http1 = createHttpServer((_request, response) => response.end("healthy"));
    await using plain = await startEcho({ http1 });
    await using secure = await startEcho({ http1, tls: { cert: certificate, key: certificateKey } });
    const curl = async (...args: string[]): Promise<string> =>
      (await execute("curl", ["-sk", "-m", "10", ...args])).stdout;
    await withFile(async (file) => {
      const call = [
        "--data-binary",
        `@${file}`,
        "-H",
        "content-type: application/grpc",
        "-H",
        "te: trailers",
        "-o",
        "-",
      ];
      for (const [flag, url] of [
        ["--http2-prior-knowledge", `http://127.0.0.1:${plain.port}/echo.Echo/Unary`],
        ["--http2", `https://127.0.0.1:${secure.port}/echo.Echo/Unary`],
      ] as const) {
        expect(await curl(flag, ...call, url)).toBe(message("hello").toString());
      }
      expect(await curl("--http1.1", `http://127.0.0.1:${plain.port}/health`)).toBe("healthy");
      expect(await curl("--http1.1", `https://127.0.0.1:${secure.port}/health`)).toBe("healthy");
      const get = await curl("--http2-prior-knowledge", "-D", "-", `http://127.0.0.1:${plain.port}/`);
      expect(get).toContain("HTTP/2 415");
    });
    http1.closeAllConnections();
  });
});
