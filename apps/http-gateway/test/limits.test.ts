import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { create, KeyValueSchema, RangeResponseSchema, toBinary, WatchResponseSchema } from "@etcd-edge/proto";
import { RateLimiterMemory } from "rate-limiter-flexible";
import { afterEach, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { createFindClient } from "../src/limits/client-key.ts";
import { type ClientLimitsOptions, createClientLimits } from "../src/limits/client-limits.ts";
import { profileV1, profileV2 } from "../src/profile/json-profile.ts";
import { FakeUpstream } from "./support/fake-upstream.ts";
import { exchange } from "./support/http-exchange.ts";
import { startTestGateway, type TestGateway } from "./support/test-gateway.ts";

const created = toBinary(WatchResponseSchema, create(WatchResponseSchema, { created: true }));
const watch = '{"create_request":{"key":"Zm9v"}}';
let gateway: TestGateway | undefined;

afterEach(async () => {
  await gateway?.[Symbol.asyncDispose]();
  gateway = undefined;
});

function limits(options: Partial<ClientLimitsOptions>) {
  const refused: string[] = [];
  const made = createClientLimits({
    findClient: createFindClient(["127.0.0.1"]),
    createRateLimiter: ({ keyPrefix, points, durationSeconds: duration }) =>
      new RateLimiterMemory({ keyPrefix, points, duration }),
    requestsPerSecond: 0,
    burst: 0,
    maxStreams: 0,
    onRefused: (reason) => refused.push(reason),
    onStoreFailed: (error) => refused.push(String(error)),
    ...options,
  });
  return { made, refused };
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

async function textUntilClose(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  await once(socket, "close");
  return text;
}

describe("requests a second", () => {
  const ask = (url: string, client: string) =>
    exchange(url, {
      method: "POST",
      path: "/v3/kv/range",
      body: "{}",
      headers: { "X-Forwarded-For": client },
    });

  it("are counted for each client; who has too many is told when to come again", async () => {
    // A period that does not end while this test runs.
    const { made, refused } = limits({
      requestsPerSecond: 2,
      createRateLimiter: ({ keyPrefix, points }) =>
        new RateLimiterMemory({ keyPrefix, points, duration: 600 }),
    });
    const upstream = new FakeUpstream({ t: "answer", message: new Uint8Array() });
    gateway = await startTestGateway({ upstream, profile: profileV1, limits: made });
    const statuses: number[] = [];
    for (let i = 0; i < 3; i++) statuses.push((await ask(gateway.url, "10.0.0.1")).status);
    expect(statuses).toEqual([200, 200, 429]);
    const answer = await ask(gateway.url, "10.0.0.1");
    expect(answer.body).toBe(
      '{"error":"etcdserver: too many requests","code":8,"message":"etcdserver: too many requests"}',
    );
    expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    expect(Number(answer.headers["retry-after"])).toBeLessThanOrEqual(600);
    expect((await ask(gateway.url, "10.0.0.2")).status).toBe(200);
    expect(refused).toEqual(["rate", "rate"]);
    expect(upstream.calls).toHaveLength(3);
  });

  it("may be more for a moment where there is a burst", async () => {
    const { made } = limits({
      requestsPerSecond: 1,
      burst: 2,
      createRateLimiter: ({ keyPrefix, points }) =>
        new RateLimiterMemory({ keyPrefix, points, duration: 600 }),
    });
    gateway = await startTestGateway({
      upstream: new FakeUpstream({ t: "answer", message: new Uint8Array() }),
      profile: profileV2,
      limits: made,
    });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) statuses.push((await ask(gateway.url, "10.0.0.1")).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
  });

  it("are not refused where the store of the counters fails", async () => {
    const { made, refused } = limits({
      requestsPerSecond: 1,
      createRateLimiter: ({ points }) => {
        const limiter = new RateLimiterMemory({ points, duration: 1 });
        limiter.consume = () => Promise.reject(new Error("store is down"));
        return limiter;
      },
    });
    gateway = await startTestGateway({
      upstream: new FakeUpstream({ t: "answer", message: new Uint8Array() }),
      profile: profileV2,
      limits: made,
    });
    expect((await ask(gateway.url, "10.0.0.1")).status).toBe(200);
    expect(refused).toEqual(["Error: store is down"]);
  });
});

describe("open streams", () => {
  it("of one client are limited over all transports, and free when they end", async () => {
    const { made } = limits({ maxStreams: 2 });
    const upstream = new FakeUpstream({ t: "frames", messages: [created], ending: "open" });
    gateway = await startTestGateway({ upstream, profile: profileV2, limits: made });
    const port = Number(new URL(gateway.url).port);
    const first = await open(port);
    first.write(`POST /v3/watch HTTP/1.1\r\nHost: x\r\nContent-Length: ${watch.length}\r\n\r\n${watch}`);
    await once(first, "data");
    const second = new WebSocket(`${gateway.url.replace("http", "ws")}/v3/watch`);
    await once(second, "open");
    const third = await exchange(gateway.url, { method: "POST", path: "/v3/watch", body: watch });
    expect(third).toMatchObject({ status: 429, headers: { "retry-after": "5" } });
    const fourth = new WebSocket(`${gateway.url.replace("http", "ws")}/v3/watch`);
    const [, refusal] = await once(fourth, "unexpected-response");
    expect(refusal).toMatchObject({ statusCode: 429, headers: { "retry-after": "5" } });
    fourth.on("error", () => {});
    fourth.terminate();
    second.terminate();
    await upstream.until(() => upstream.calls.length >= 1);
    await expect
      .poll(async () => {
        const probe = await exchange(
          gateway?.url ?? "",
          { method: "POST", path: "/v3/watch", body: watch },
          (body) => body.includes("created"),
        );
        return probe.status;
      })
      .toBe(200);
    first.destroy();
  });
});

describe("slow and strange clients", () => {
  it("are told 408 when their headers do not come, or the body", async () => {
    const upstream = new FakeUpstream({ t: "answer", message: new Uint8Array() });
    gateway = await startTestGateway({
      upstream,
      profile: profileV2,
      headerTimeoutMs: 50,
      bodyTimeoutMs: 50,
    });
    const port = Number(new URL(gateway.url).port);
    const headers = await open(port);
    headers.write("POST /v3/kv/range HTTP/1.1\r\nHost:");
    expect(await textUntilClose(headers)).toMatch(/^HTTP\/1.1 408 /);
    const body = await open(port);
    body.write("POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{");
    const text = await textUntilClose(body);
    expect(text).toMatch(/^HTTP\/1.1 408 /);
    expect(text).toContain('{"code":4,"message":"the request body did not come within 50ms"}');
    expect(upstream.calls).toEqual([]);
  });

  it("are told 431 when their headers are too long", async () => {
    const upstream = new FakeUpstream({ t: "answer", message: new Uint8Array() });
    gateway = await startTestGateway({ upstream, profile: profileV2 });
    const socket = await open(Number(new URL(gateway.url).port));
    socket.write(`GET /v3/kv/range HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(70_000)}\r\n\r\n`);
    expect(await textUntilClose(socket)).toMatch(/^HTTP\/1.1 431 /);
  });

  it("are refused JSON that is deep or has very many values", async () => {
    const upstream = new FakeUpstream({ t: "answer", message: new Uint8Array() });
    gateway = await startTestGateway({ upstream, profile: profileV2 });
    const ask = (body: string) => exchange(gateway?.url ?? "", { method: "POST", path: "/v3/kv/txn", body });
    expect((await ask("[".repeat(1_001))).body).toContain("exceeded max depth");
    expect((await ask(`[${"1,".repeat(100_000)}1]`)).body).toContain("more than 100000 values");
  });

  it("who ask for much and read nothing are cut", async () => {
    const kvs = [create(KeyValueSchema, { key: Uint8Array.of(1), value: new Uint8Array(24 << 20) })];
    const message = toBinary(RangeResponseSchema, create(RangeResponseSchema, { kvs }));
    const upstream = new FakeUpstream({ t: "answer", message });
    gateway = await startTestGateway({ upstream, profile: profileV2, writeTimeoutMs: 1 });
    const socket = await open(Number(new URL(gateway.url).port));
    socket.pause();
    socket.write("POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    await upstream.until(() => upstream.calls.length === 1);
    const closed = once(socket, "close");
    // A paused socket sees no end: what it has is little of it, and then it is told.
    await expect.poll(() => gateway?.connections(), { timeout: 30_000 }).toBe(0);
    socket.resume();
    await closed;
    expect(socket.bytesRead).toBeLessThan(message.length);
  });
});

describe("who a client is", () => {
  const request = (remoteAddress: string, forwarded?: string) =>
    ({
      socket: { remoteAddress },
      headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
    }) as never;

  it.each([
    ["192.0.2.1", undefined, "192.0.2.1"],
    ["::ffff:192.0.2.1", undefined, "192.0.2.1"],
    ["192.0.2.1", "10.9.9.9", "192.0.2.1"],
    ["10.0.0.1", "192.0.2.7", "192.0.2.7"],
    ["10.0.0.1", "6.6.6.6, 192.0.2.7, 10.0.0.2", "192.0.2.7"],
    ["10.0.0.1", "nobody", "10.0.0.1"],
    ["10.0.0.1", undefined, "10.0.0.1"],
    ["2001:db8:1:2:3:4:5:6", undefined, "2001:db8:1:2::/64"],
    ["2001:db8::1", undefined, "2001:db8:0:0::/64"],
    ["fe80::1%eth0", undefined, "fe80:0:0:0::/64"],
  ])("%s with %s is %s", (address, forwarded, client) => {
    expect(createFindClient(["10.0.0.0/8"])(request(address, forwarded))).toBe(client);
  });

  it.each(["10.0.0.0/33", "example.org", "10.0.0.0/", ""])("refuses %j as a proxy", (text) => {
    expect(() => createFindClient([text])).toThrow('invalid "--trusted-proxies"');
  });
});
