import { once } from "node:events";
import { connect } from "node:net";
import { create, RangeResponseSchema, toBinary, WatchResponseSchema } from "@etcd-edge/proto";
import { afterEach, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { profileV1, profileV2 } from "../src/profile/json-profile.ts";
import { FakeUpstream } from "./support/fake-upstream.ts";
import { startTestGateway, type TestGateway, type TestGatewayOptions } from "./support/test-gateway.ts";

const created = toBinary(WatchResponseSchema, create(WatchResponseSchema, { watchId: 7n, created: true }));
const createdText = '{"result":{"watch_id":"7","created":true}}';
const createText = '{"create_request":{"key":"Zm9v","watch_id":"7"}}';
const openWatch = { t: "frames", messages: [created], ending: "open" } as const;

let gateway: TestGateway | undefined;

async function start(options: Partial<TestGatewayOptions> & { upstream: FakeUpstream }): Promise<string> {
  gateway = await startTestGateway({ profile: profileV2, ...options });
  return gateway.url.replace("http", "ws");
}

afterEach(async () => {
  expect(gateway?.reported ?? []).toEqual([]);
  await gateway?.[Symbol.asyncDispose]();
});

interface Client {
  readonly socket: WebSocket;
  readonly messages: string[];
  readonly closed: Promise<number>;
  until(count: number): Promise<void>;
}

async function open(
  url: string,
  protocols: string[] = [],
  headers: Record<string, string> = {},
): Promise<Client> {
  const socket = new WebSocket(url, protocols, { headers });
  const messages: string[] = [];
  socket.on("message", (data) => messages.push(String(data)));
  const closed = once(socket, "close").then(([code]) => Number(code));
  await once(socket, "open");
  return {
    socket,
    messages,
    closed,
    until: async (count) => {
      while (messages.length < count) await once(socket, "message");
    },
  };
}

describe("a watch over WebSocket", () => {
  it("sends one message a line and takes many requests, split and joined as they come", async () => {
    const upstream = new FakeUpstream(openWatch);
    const client = await open(`${await start({ upstream })}/v3/watch`);
    client.socket.send(createText);
    await client.until(1);
    expect(client.messages).toEqual([createdText]);
    client.socket.send('{"progress_request":{}}{"cancel_request":');
    client.socket.send(Buffer.from('{"watch_id":7}}'));
    await upstream.until(() => upstream.calls[0]?.messages.length === 3);
    client.socket.close(4001);
    expect(await client.closed).toBe(4001);
    await upstream.until(() => upstream.calls[0]?.cancelled === true);
  });

  it("ends with an error message and a clean close when a later message is no JSON", async () => {
    const upstream = new FakeUpstream(openWatch);
    const client = await open(`${await start({ upstream })}/v3/watch`);
    client.socket.send(createText);
    await client.until(1);
    client.socket.send("garbage");
    expect(await client.closed).toBe(1000);
    expect(client.messages[1]).toBe(
      '{"error":{"code":3,"message":"invalid character \'g\' looking for beginning of value"}}',
    );
  });

  it("is cancelled upstream when the client vanishes without a word", async () => {
    const upstream = new FakeUpstream(openWatch);
    const client = await open(`${await start({ upstream })}/v3beta/watch`);
    client.socket.send(createText);
    await client.until(1);
    client.socket.terminate();
    await upstream.until(() => upstream.calls[0]?.cancelled === true);
  });

  it("is cut when a ping is not answered until the next", async () => {
    const upstream = new FakeUpstream(openWatch);
    const client = await open(`${await start({ upstream, pingIntervalMs: 30 })}/v3/watch`);
    // Node's ws answers pings by itself: take that away.
    client.socket.pong = () => {};
    client.socket.send(createText);
    expect(await client.closed).toBe(1006);
    await upstream.until(() => upstream.calls[0]?.cancelled === true);
  });

  it("lives through pings that are answered", async () => {
    const upstream = new FakeUpstream(openWatch);
    const client = await open(`${await start({ upstream, pingIntervalMs: 100 })}/v3/watch`);
    for (let pings = 0; pings < 3; pings++) await once(client.socket, "ping");
    expect(client.socket.readyState).toBe(WebSocket.OPEN);
    client.socket.close();
    await client.closed;
  });
});

describe("a unary call over WebSocket", () => {
  it("is answered as soon as its value is whole, and closes", async () => {
    const message = toBinary(RangeResponseSchema, create(RangeResponseSchema, { count: 2n }));
    const client = await open(
      `${await start({ upstream: new FakeUpstream({ t: "answer", message }) })}/v3/kv/range`,
    );
    client.socket.send('{"key":"Zm9v"}');
    expect(await client.closed).toBe(1000);
    expect(client.messages).toEqual(['{"count":"2"}']);
  });

  it.each([
    [
      "v1",
      profileV1,
      '{"error":"etcdserver: key is not provided","code":3,"message":"etcdserver: key is not provided"}',
    ],
    ["v2", profileV2, '{"code":3,"message":"etcdserver: key is not provided"}'],
  ] as const)("tells of errors in the shape of the profile (%s)", async (_, profile, text) => {
    const upstream = new FakeUpstream({
      t: "error",
      status: 3,
      message: "etcdserver: key is not provided",
      origin: "server",
    });
    const client = await open(`${await start({ upstream, profile })}/v3/kv/range`);
    client.socket.send("{}");
    await client.closed;
    expect(client.messages).toEqual([text]);
  });

  it("on a path that is no route gets the answer as a message", async () => {
    const client = await open(`${await start({ upstream: new FakeUpstream(openWatch) })}/v3/nope`);
    expect(await client.closed).toBe(1000);
    expect(client.messages).toEqual(['{"code":5,"message":"Not Found"}']);
  });
});

describe("credentials of a WebSocket", () => {
  it.each([
    ["a subprotocol, which is what a browser has", ["Bearer", "tok.1"], {}, "Bearer"],
    ["a cookie, which wins", ["Bearer", "other"], { Cookie: "a=b; token=tok.1" }, "Bearer"],
    ["Authorization, for clients that can", [], { Authorization: "Bearer tok.1" }, ""],
  ] as const)("come from %s", async (_, protocols, headers, answered) => {
    const upstream = new FakeUpstream(openWatch);
    const client = await open(`${await start({ upstream })}/v3/watch`, [...protocols], { ...headers });
    expect(client.socket.protocol).toBe(answered);
    client.socket.send(createText);
    await client.until(1);
    expect(upstream.calls[0]?.metadata).toEqual(["token", "tok.1"]);
    client.socket.close();
    await client.closed;
  });

  it("are none where a subprotocol is something else, which is answered for the browser's sake", async () => {
    const upstream = new FakeUpstream(openWatch);
    const client = await open(`${await start({ upstream })}/v3/watch`, ["json"]);
    expect(client.socket.protocol).toBe("json");
    client.socket.send(createText);
    await client.until(1);
    expect(upstream.calls[0]?.metadata).toEqual([]);
    client.socket.close();
    await client.closed;
  });
});

it("opens for a page of an origin that is in --cors", async () => {
  const url = await start({ upstream: new FakeUpstream(openWatch), cors: ["http://good.example"] });
  const client = await open(`${url}/v3/watch`, [], { Origin: "http://good.example" });
  client.socket.close();
  expect(await client.closed).toBe(1005);
});

describe("a handshake that is none", () => {
  async function handshake(url: string, lines: readonly string[]): Promise<string> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    let text = "";
    for await (const chunk of socket.setEncoding("utf8")) text += String(chunk);
    return text;
  }
  const upgrade = ["Host: x", "Connection: Upgrade", "Upgrade: websocket"];
  const good = ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="];

  it.each([
    ["by POST", ["POST /v3/watch HTTP/1.1", ...upgrade, ...good], "HTTP/1.1 405 Method Not Allowed"],
    [
      "without a key",
      ["GET /v3/watch HTTP/1.1", ...upgrade, "Sec-WebSocket-Version: 13"],
      "HTTP/1.1 400 Bad Request",
    ],
    [
      "of another version",
      ["GET /v3/watch HTTP/1.1", ...upgrade, "Sec-WebSocket-Version: 8", good[1] ?? ""],
      "HTTP/1.1 400 Bad Request",
    ],
    ["outside /v3/", ["GET /health HTTP/1.1", ...upgrade, ...good], "HTTP/1.1 404"],
    [
      "for a strange host",
      ["GET /v3/watch HTTP/1.1", "Host: evil", ...upgrade.slice(1), ...good],
      "HTTP/1.1 421",
    ],
  ])("%s is refused", async (_, lines, status) => {
    const url = await start({
      upstream: new FakeUpstream(openWatch),
      hostWhitelist: ["x"],
      cors: ["http://good.example"],
    });
    expect(await handshake(url, lines)).toMatch(new RegExp(`^${status}`));
  });
});
