import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import {
  Server as GrpcServer,
  Metadata,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { Channel, type Outcome } from "../src/index.ts";
import { message } from "./support/frames.ts";

const identity = (value: Buffer): Buffer => value;
const definition = (path: string, stream: boolean) => ({
  path,
  requestStream: stream,
  responseStream: stream,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
});

async function startGrpcJs(): Promise<{ port: number; stop: () => void }> {
  const server = new GrpcServer({
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  server.addService(
    {
      unary: definition("/echo.Echo/Unary", false),
      fail: definition("/echo.Echo/Fail", false),
      bidi: definition("/echo.Echo/Bidi", true),
    },
    {
      unary: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => done(null, call.request),
      fail: (_call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
        const metadata = new Metadata();
        metadata.set("why-bin", Buffer.from([0, 1, 2]));
        done({ code: 9, details: "nö", metadata });
      },
      bidi: (call: ServerDuplexStream<Buffer, Buffer>) => {
        call.on("data", (payload: Buffer) => {
          if (!call.write(payload)) {
            call.pause();
            call.once("drain", () => call.resume());
          }
        });
        call.on("end", () => call.end());
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { port, stop: () => server.forceShutdown() };
}

describe("@grpc/grpc-js as the server", () => {
  it("unary calls of many sizes, a failure with details, and a stream of 2,000 messages", async () => {
    const { port, stop } = await startGrpcJs();
    try {
      await using channel = new Channel({ endpoint: { host: "127.0.0.1", port } });
      for (const bytes of [0, 1, 16_380, 100_000, 5_000_000]) {
        const payload = Buffer.alloc(bytes, "etcd");
        expect((await channel.unaryCall("/echo.Echo/Unary", [], payload)).payload.equals(payload)).toBe(true);
      }
      await expect(channel.unaryCall("/echo.Echo/Fail", [], Buffer.from("x"))).rejects.toMatchObject({
        code: 9,
        message: "nö",
        metadata: expect.arrayContaining(["why-bin", "AAEC"]),
        progress: "answered",
      });
      await expect(channel.unaryCall("/echo.Echo/None", [], Buffer.from("x"))).rejects.toMatchObject({
        code: 12,
      });
      expect(await streamThrough(channel)).toMatchObject({ code: 0 });
    } finally {
      stop();
    }
  });
});

/** Sends 2,000 messages of 5,000 bytes, waiting when told to, and checks that they come back in order. */
async function streamThrough(channel: Channel): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  let received = 0;
  let sent = 0;
  const call = channel.open(
    "/echo.Echo/Bidi",
    [],
    {},
    {
      onMessage: (payload) => {
        expect(payload.readUInt32BE(0)).toBe(received);
        received++;
      },
      onDrain: () => pump(),
      onEnd: (outcome) => {
        expect(received).toBe(2000);
        resolve(outcome);
      },
    },
  );
  const pump = (): void => {
    while (sent < 2000 && call.writable) {
      const payload = Buffer.alloc(5000);
      payload.writeUInt32BE(sent++);
      call.sendMessage(payload, sent === 2000);
    }
  };
  pump();
  return promise;
}

describe("node:http2 as the server", () => {
  it("answers calls while it changes its settings", async () => {
    const server = createServer({ settings: { headerTableSize: 0, initialWindowSize: 1000 } });
    server.on("stream", (stream: ServerHttp2Stream, requestHeaders) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        stream.respond(
          { ":status": 200, "content-type": "application/grpc", seen: String(requestHeaders["token"]) },
          { waitForTrailers: true },
        );
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(Buffer.concat(chunks));
        stream.session?.settings({ headerTableSize: 4096, initialWindowSize: 100_000 });
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      await using channel = new Channel({
        endpoint: { host: "127.0.0.1", port: (server.address() as AddressInfo).port },
      });
      for (const token of ["a", "a", "b"]) {
        const { payload, headers } = await channel.unaryCall(
          "/a/b",
          ["token", token],
          Buffer.alloc(50_000, token),
        );
        expect(payload.length).toBe(50_000);
        expect(headers).toEqual(expect.arrayContaining(["seen", token]));
      }
      expect(message("").length).toBe(5);
    } finally {
      server.close();
    }
  });
});
