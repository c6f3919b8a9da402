import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import {
  create,
  fromBinary,
  KeyValueSchema,
  RangeResponseSchema,
  toBinary,
  WatchRequestSchema,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import { loadServerTls } from "@etcd-edge/runtime";
import { type CertificateAuthority, createAuthority } from "@etcd-edge/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { profileV2 } from "../src/profile/json-profile.ts";
import { FakeUpstream, type Script } from "./support/fake-upstream.ts";
import { startTestGateway, type TestGateway, type TestGatewayOptions } from "./support/test-gateway.ts";

const created = toBinary(WatchResponseSchema, create(WatchResponseSchema, { created: true }));
const answered: Script = {
  t: "answer",
  message: toBinary(RangeResponseSchema, create(RangeResponseSchema, { count: 2n })),
};

let authority: CertificateAuthority;
let gateway: TestGateway;
let revoked: string;
const files = { certFile: "", keyFile: "" };

beforeAll(async () => {
  authority = await createAuthority();
  Object.assign(files, await authority.issue({ name: "server" }));
  revoked = await authority.revoke([]);
});
afterAll(() => authority[Symbol.asyncDispose]());
afterEach(async () => {
  expect(gateway.reported).toEqual([]);
  await gateway[Symbol.asyncDispose]();
});

async function start(
  upstream: FakeUpstream,
  options: Partial<TestGatewayOptions> & { asksForClients?: boolean } = {},
): Promise<void> {
  const { asksForClients = false, ...others } = options;
  const trustedCaFile = asksForClients ? authority.caFile : "";
  const clientCrlFile = asksForClients ? revoked : "";
  const tls = await loadServerTls({ ...files, trustedCaFile, clientCrlFile }, { address: "", versions: {} });
  if (tls === undefined) throw new Error("no TLS");
  gateway = await startTestGateway({ upstream, profile: profileV2, tls, ...others });
}

function open(session: ClientHttp2Session, path: string, method = "POST"): ClientHttp2Stream {
  const stream = session.request({ ":method": method, ":path": path });
  stream.setEncoding("utf8").on("error", () => {});
  return stream;
}

describe("HTTP/2 behind TLS", () => {
  it("answers calls, without the headers that HTTP/2 forbids, and errors as over HTTP/1.1", async () => {
    await start(new FakeUpstream(answered));
    const session = connect(gateway.url, { ca: authority.ca });
    const stream = open(session, "/v3/kv/range");
    stream.end('{"key":"Zm9v"}');
    const [headers] = await once(stream, "response");
    expect(headers).toMatchObject({
      ":status": 200,
      "content-type": "application/json",
      "grpc-metadata-content-type": "application/grpc",
      "access-control-allow-origin": "*",
    });
    expect(await text(stream)).toBe('{"count":"2"}');
    const wrong = open(session, "/v3/kv/range", "PUT");
    expect((await once(wrong.end(), "response"))[0]).toMatchObject({ ":status": 501 });
    const tooLarge = session.request({
      ":method": "POST",
      ":path": "/v3/kv/put",
      "content-length": 2_000_000,
    });
    tooLarge.on("error", () => {});
    expect((await once(tooLarge, "response"))[0]).toMatchObject({ ":status": 413 });
    session.destroy();
  });

  it("serves the pages", async () => {
    await start(new FakeUpstream(answered));
    const session = connect(gateway.url, { ca: authority.ca });
    expect(await text(open(session, "/version", "GET").end())).toContain("etcdserver");
    expect(await text(open(session, "/docs/", "GET").end())).toContain("swagger-ui");
    session.destroy();
  });

  it("carries many watches in both directions on one connection", async () => {
    const upstream = new FakeUpstream({ t: "frames", messages: [created], ending: "open" });
    await start(upstream);
    const session = connect(gateway.url, { ca: authority.ca });
    const streams = Array.from({ length: 20 }, () => open(session, "/v3/watch"));
    for (const stream of streams) {
      stream.write('{"create_request":{"key":"Zm9v"}}');
      const [frame] = await once(stream, "data");
      expect(frame).toBe('{"result":{"created":true}}\n');
    }
    streams[0]?.write('{"progress_request":{}}');
    await upstream.until(() => upstream.calls[0]?.messages.length === 2);
    const second = fromBinary(WatchRequestSchema, upstream.calls[0]?.messages[1] ?? new Uint8Array());
    expect(second.requestUnion.case).toBe("progressRequest");
    streams[0]?.close();
    await upstream.until(() => upstream.calls[0]?.cancelled === true);
    expect(upstream.calls[1]?.cancelled).toBe(false);
    session.destroy();
    await upstream.until(() => upstream.calls.every(({ cancelled }) => cancelled));
  });

  it("holds events back from a stream that is not read, and cuts an answer that nobody takes", async () => {
    const kvs = [create(KeyValueSchema, { key: Uint8Array.of(1), value: new Uint8Array(4 << 20) })];
    const message = toBinary(RangeResponseSchema, create(RangeResponseSchema, { kvs }));
    const upstream = new FakeUpstream({ t: "answer", message });
    await start(upstream, { writeTimeoutMs: 50 });
    const session = connect(gateway.url, { ca: authority.ca });
    const stream = session.request({ ":method": "POST", ":path": "/v3/kv/range" }, { endStream: false });
    stream.on("error", () => {});
    stream.end("{}");
    // Nothing reads it: its window fills and stays full.
    await once(stream, "close");
    expect(stream.rstCode).not.toBe(0);
    session.destroy();
  });

  it("speaks HTTP/1.1 and WebSocket on the same port", async () => {
    const upstream = new FakeUpstream({ t: "frames", messages: [created], ending: "open" });
    await start(upstream);
    const socket = new WebSocket(`${gateway.url.replace("https", "wss")}/v3/watch`, { ca: authority.ca });
    await once(socket, "open");
    socket.send('{"create_request":{"key":"Zm9v"}}');
    const [frame] = await once(socket, "message");
    expect(String(frame)).toBe('{"result":{"created":true}}');
    socket.terminate();
    const outgoing = request(`${gateway.url}/version`, { ca: authority.ca, agent: false }).end();
    const [response] = await once(outgoing, "response");
    expect(response.httpVersion).toBe("1.1");
    expect(await text(response)).toContain("etcdserver");
  });

  it("lets nobody in without a certificate where a CA is named, nor with one that is revoked", async () => {
    await start(new FakeUpstream(answered), { asksForClients: true });
    const ann = await authority.issue({ name: "ann" });
    const bob = await authority.issue({ name: "bob" });
    const ask = async (of: { certFile: string; keyFile: string }): Promise<number | string> => {
      const identity = { cert: await readFile(of.certFile), key: await readFile(of.keyFile) };
      const session = connect(gateway.url, { ca: authority.ca, ...identity });
      session.on("error", () => {});
      const stream = open(session, "/v3/kv/range");
      stream.end("{}");
      const status = await new Promise<number | string>((resolve) => {
        stream.on("response", (headers) => resolve(Number(headers[":status"])));
        stream.on("close", () => resolve("refused"));
      });
      session.destroy();
      return status;
    };
    expect(await ask(ann)).toBe(200);
    expect(await ask(bob)).toBe(200);
    // Node's client of HTTP/2 would not notice: its session stays open for ever.
    const nobody = request(`${gateway.url}/version`, { ca: authority.ca, agent: false }).end();
    await expect(once(nobody, "response")).rejects.toThrow();
    await authority.revoke([bob.serialNumber]);
    expect(await ask(bob)).toBe("refused");
    expect(await ask(ann)).toBe(200);
    await authority.revoke([]);
  });

  it("tells connections to go when it closes, and answers what is under way", async () => {
    const upstream = new FakeUpstream(answered);
    const held = Promise.withResolvers<void>();
    upstream.delay = held.promise;
    await start(upstream);
    const session = connect(gateway.url, { ca: authority.ca });
    const stream = open(session, "/v3/kv/range");
    stream.end("{}");
    await upstream.until(() => upstream.calls.length === 1);
    const goaway = once(session, "goaway");
    const closed = gateway.closeGently();
    await goaway;
    held.resolve();
    expect(await text(stream)).toBe('{"count":"2"}');
    await closed;
  });
});
