import { once } from "node:events";
import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import {
  create,
  fromBinary,
  KeyValueSchema,
  LeaseKeepAliveResponseSchema,
  RangeResponseSchema,
  SnapshotResponseSchema,
  toBinary,
  WatchRequestSchema,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import { afterEach, describe, expect, it } from "vitest";
import { profileV1, profileV2 } from "../src/profile/json-profile.ts";
import { FakeUpstream } from "./support/fake-upstream.ts";
import { exchange } from "./support/http-exchange.ts";
import { startTestGateway, type TestGateway, type TestGatewayOptions } from "./support/test-gateway.ts";

const created = toBinary(WatchResponseSchema, create(WatchResponseSchema, { watchId: 7n, created: true }));
const createdLine = '{"result":{"watch_id":"7","created":true}}\n';
const createBody = '{"create_request":{"key":"Zm9v","watch_id":"7"}}';

let gateway: TestGateway | undefined;

async function start(
  options: Partial<TestGatewayOptions> & { upstream: FakeUpstream },
): Promise<TestGateway> {
  gateway = await startTestGateway({ profile: profileV2, ...options });
  return gateway;
}

afterEach(async () => {
  expect(gateway?.reported ?? []).toEqual([]);
  await gateway?.[Symbol.asyncDispose]();
});

/** A request whose body the test keeps open. */
function openRequest(url: string, path: string): ClientRequest {
  const { hostname, port } = new URL(url);
  const outgoing = request({ host: hostname, port, path, method: "POST", agent: false });
  outgoing.on("error", () => {});
  return outgoing;
}

async function firstChunk(outgoing: ClientRequest): Promise<{ response: IncomingMessage; text: string }> {
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  const [text] = (await once(response.setEncoding("utf8"), "data")) as [string];
  return { response, text };
}

describe("a watch over HTTP", () => {
  it("answers while the body is still open, and takes more requests from it", async () => {
    const upstream = new FakeUpstream({ t: "frames", messages: [created], ending: "open" });
    const { url } = await start({ upstream });
    const outgoing = openRequest(url, "/v3/watch");
    outgoing.write(createBody);
    const { text } = await firstChunk(outgoing);
    expect(text).toBe(createdLine);
    outgoing.write(`\n{"cancel_request":{"watch`);
    outgoing.write(`_id":7}}{"progress_request":{}}`);
    await upstream.until(() => upstream.calls[0]?.messages.length === 3);
    const seen = upstream.calls[0]?.messages.map(
      (bytes) => fromBinary(WatchRequestSchema, bytes).requestUnion.case,
    );
    expect(seen).toEqual(["createRequest", "cancelRequest", "progressRequest"]);
    outgoing.destroy();
    await upstream.until(() => upstream.calls[0]?.cancelled === true);
  });

  it("keeps the end of the body to itself: etcd's grpc-proxy would end the watch", async () => {
    const upstream = new FakeUpstream({ t: "frames", messages: [created], ending: "open" });
    const { url } = await start({ upstream });
    const outgoing = openRequest(url, "/v3/watch");
    outgoing.end(createBody);
    await firstChunk(outgoing);
    expect(upstream.calls[0]?.halfClosed).toBe(false);
    outgoing.destroy();
    await upstream.until(() => upstream.calls[0]?.cancelled === true);
  });

  it.each([
    [
      "v1",
      profileV1,
      400,
      '{"error":"the body ended without a create_request","code":3,"message":"the body ended without a create_request"}',
    ],
    ["v2", profileV2, 400, '{"error":{"code":3,"message":"the body ended without a create_request"}}\n'],
  ] as const)(
    "refuses a body without a create request instead of waiting for ever (%s)",
    async (_, profile, status, body) => {
      const upstream = new FakeUpstream({ t: "frames", messages: [], ending: "open" });
      const { url } = await start({ upstream, profile });
      for (const sent of ["", "{}"]) {
        const answer = await exchange(url, { method: "POST", path: "/v3/watch", body: sent });
        expect([answer.status, answer.body]).toEqual([status, body]);
      }
    },
  );

  it("ends with an error frame when later input is no JSON, and cancels upstream", async () => {
    const upstream = new FakeUpstream({ t: "frames", messages: [created], ending: "open" });
    const { url } = await start({ upstream });
    const outgoing = openRequest(url, "/v3/watch");
    outgoing.write(createBody);
    const { response } = await firstChunk(outgoing);
    outgoing.write("garbage");
    const [text] = (await once(response, "data")) as [string];
    expect(text).toBe(
      '{"error":{"code":3,"message":"invalid character \'g\' looking for beginning of value"}}\n',
    );
    expect(upstream.calls[0]?.cancelled).toBe(true);
    outgoing.destroy();
  });

  it("tells of the shutdown with UNAVAILABLE, which clients resume on", async () => {
    const draining = new AbortController();
    const upstream = new FakeUpstream({ t: "frames", messages: [created], ending: "open" });
    const { url } = await start({ upstream, draining: draining.signal });
    const answered = exchange(url, { method: "POST", path: "/v3/watch", body: createBody }, (body) => {
      if (body === createdLine) draining.abort();
      return false;
    });
    const { body } = await answered;
    expect(body).toBe(`${createdLine}{"error":{"code":14,"message":"gateway is shutting down"}}\n`);
  });

  it("is not begun any more on a connection that is left while the gateway goes", async () => {
    const upstream = new FakeUpstream({ t: "frames", messages: [created], ending: "open" });
    const { url } = await start({ upstream, draining: AbortSignal.abort() });
    const lines = await exchange(url, { method: "POST", path: "/v3/watch", body: createBody });
    expect([lines.status, lines.body]).toEqual([
      503,
      '{"error":{"code":14,"message":"gateway is shutting down"}}\n',
    ]);
    const headers = { Accept: "text/event-stream" };
    expect((await exchange(url, { method: "GET", path: "/v3/watch?key=a", headers })).status).toBe(503);
    expect(upstream.calls).toEqual([]);
  });

  it("does not read ahead of a client that does not read", async () => {
    const big = create(KeyValueSchema, { key: Uint8Array.of(1), value: new Uint8Array(512 * 1024) });
    const event = toBinary(WatchResponseSchema, create(WatchResponseSchema, { events: [{ kv: big }] }));
    const upstream = new FakeUpstream({
      t: "frames",
      messages: Array.from({ length: 200 }, () => event),
      ending: "open",
    });
    const { url } = await start({ upstream });
    const { port } = new URL(url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    await once(socket, "connect");
    const body = createBody;
    socket.write(`POST /v3/watch HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await upstream.untilQuiet();
    const taken = upstream.taken;
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(60);
    socket.destroy();
    await upstream.until(() => upstream.calls[0]?.cancelled === true);
  });
});

describe("other streams", () => {
  it("passes the end of a keep-alive body on, and ends without a marker", async () => {
    const answer = create(LeaseKeepAliveResponseSchema, { ID: 5n, TTL: 60n });
    const upstream = new FakeUpstream({
      t: "frames",
      messages: [toBinary(LeaseKeepAliveResponseSchema, answer)],
      ending: "end",
    });
    const { url } = await start({ upstream });
    const { status, body } = await exchange(url, {
      method: "POST",
      path: "/v3/lease/keepalive",
      body: '{"ID":5}',
    });
    expect([status, body]).toEqual([200, '{"result":{"ID":"5","TTL":"60"}}\n']);
    await upstream.until(() => upstream.calls[0]?.halfClosed === true);
  });

  it("relays a snapshot frame by frame", async () => {
    const frames = [3n, 0n].map((remainingBytes) =>
      toBinary(
        SnapshotResponseSchema,
        create(SnapshotResponseSchema, { remainingBytes, blob: Uint8Array.of(1, 2, 3) }),
      ),
    );
    const upstream = new FakeUpstream({ t: "frames", messages: frames, ending: "end" });
    const { url } = await start({ upstream });
    const { body } = await exchange(url, { method: "POST", path: "/v3/maintenance/snapshot", body: "{}" });
    expect(body).toBe('{"result":{"remaining_bytes":"3","blob":"AQID"}}\n{"result":{"blob":"AQID"}}\n');
  });
});

describe("unary calls", () => {
  it("are answered while a body that holds the value stays open", async () => {
    const upstream = new FakeUpstream({
      t: "answer",
      message: toBinary(RangeResponseSchema, create(RangeResponseSchema)),
    });
    const { url } = await start({ upstream });
    const outgoing = openRequest(url, "/v3/kv/range");
    outgoing.write('{"key":"Zm9v"}');
    expect((await firstChunk(outgoing)).text).toBe("{}");
    outgoing.destroy();
  });

  it("that are under way are answered while the gateway closes, and the connection is not kept", async () => {
    const answered = Promise.withResolvers<void>();
    const upstream = new FakeUpstream({ t: "answer", message: new Uint8Array() });
    upstream.delay = answered.promise;
    const { url, closeGently } = await start({ upstream });
    const agent = new Agent({ keepAlive: true });
    const answer = exchange(url, { method: "POST", path: "/v3/kv/range", body: "{}", agent });
    await upstream.until(() => upstream.calls.length === 1);
    const closed = closeGently();
    answered.resolve();
    expect((await answer).status).toBe(200);
    await closed;
    agent.destroy();
  });

  it("refuse a body over the limit with 413, whether it says its length or not", async () => {
    const upstream = new FakeUpstream({ t: "answer", message: new Uint8Array() });
    const { url } = await start({ upstream, maxBodyBytes: 1_000 });
    const body = `{"key":"${"A".repeat(2_000)}"}`;
    const answer = await exchange(url, { method: "POST", path: "/v3/kv/range", body });
    expect([answer.status, answer.body]).toEqual([
      413,
      '{"code":8,"message":"request body is larger than the limit of 1000 bytes"}',
    ]);
    const outgoing = openRequest(url, "/v3/kv/range");
    outgoing.write(body);
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    expect(response.statusCode).toBe(413);
    outgoing.destroy();
    expect(upstream.calls).toEqual([]);
  });

  it("answer bytes that are no message of the schema with 500, and report them", async () => {
    const upstream = new FakeUpstream({ t: "answer", message: Uint8Array.of(0xff) });
    const { url } = await start({ upstream });
    const answer = await exchange(url, { method: "POST", path: "/v3/kv/range", body: "{}" });
    expect([answer.status, answer.body]).toEqual([500, '{"code":13,"message":"internal error"}']);
    expect(gateway?.reported).toHaveLength(1);
    await gateway?.[Symbol.asyncDispose]();
    gateway = undefined;
  });

  it("ignore an upgrade to h2c, as curl --http2 asks for", async () => {
    const upstream = new FakeUpstream({ t: "answer", message: new Uint8Array() });
    const { url } = await start({ upstream });
    const headers = {
      Connection: "Upgrade, HTTP2-Settings",
      Upgrade: "h2c",
      "HTTP2-Settings": "AAMAAABkAAQAAP__",
    };
    const answer = await exchange(url, { method: "POST", path: "/v3/kv/range", headers, body: "{}" });
    expect([answer.status, answer.body]).toEqual([200, "{}"]);
  });
});
