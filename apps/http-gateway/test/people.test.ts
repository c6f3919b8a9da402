import {
  create,
  fromBinary,
  LeaseTimeToLiveRequestSchema,
  LeaseTimeToLiveResponseSchema,
  PutRequestSchema,
  RangeRequest_SortOrder,
  RangeRequestSchema,
  RangeResponseSchema,
  toBinary,
} from "@etcd-edge/proto";
import { afterEach, describe, expect, it } from "vitest";
import { profileV1, profileV2 } from "../src/profile/json-profile.ts";
import { FakeUpstream, type Script } from "./support/fake-upstream.ts";
import { exchange } from "./support/http-exchange.ts";
import { startTestGateway, type TestGateway } from "./support/test-gateway.ts";

const kvs = [{ key: Buffer.from("käse"), value: Uint8Array.of(0xff) }];
const ranged: Script = {
  t: "answer",
  message: toBinary(RangeResponseSchema, create(RangeResponseSchema, { kvs, count: 1n })),
};

let gateway: TestGateway;
let upstream: FakeUpstream;

async function start(script: Script = ranged, profile = profileV2): Promise<void> {
  upstream = new FakeUpstream(script);
  gateway = await startTestGateway({ upstream, profile });
}

afterEach(async () => {
  expect(gateway.reported).toEqual([]);
  await gateway[Symbol.asyncDispose]();
});

const post = (path: string, body: string, headers: Record<string, string> = {}) =>
  exchange(gateway.url, { method: "POST", path, headers, body });
const get = (path: string, headers: Record<string, string> = {}) =>
  exchange(gateway.url, { method: "GET", path, headers });
const asked = () => fromBinary(RangeRequestSchema, upstream.calls.at(-1)?.messages[0] ?? new Uint8Array());

describe("text instead of base64", () => {
  it.each([
    ["by the query", "/v3/kv/range?utf8", {}],
    ["by a header", "/v3/kv/range", { "X-Etcd-Utf8": "true" }],
  ])("is asked for %s, and holds both ways", async (_, path, headers) => {
    await start();
    const answer = await post(path, '{"key":"käse"}', headers);
    expect(answer.body).toBe('{"kvs":[{"key":"käse","value":{"base64":"/w=="}}],"count":"1"}');
    expect(asked().key).toEqual(new Uint8Array(Buffer.from("käse")));
  });

  it("reads bytes that are no text", async () => {
    await start({ t: "answer", message: new Uint8Array() });
    await post("/v3/kv/put?utf8=true", '{"key":"a","value":{"base64":"AP8="}}');
    const put = fromBinary(PutRequestSchema, upstream.calls[0]?.messages[0] ?? new Uint8Array());
    expect([...put.value]).toEqual([0, 0xff]);
  });

  it("is off unless asked for, and refuses a value that is neither", async () => {
    await start();
    expect((await post("/v3/kv/range?utf8=false", '{"key":"a3k="}')).body).toContain('"key":"a8Okc2U="');
    const refused = await post("/v3/kv/range?utf8=perhaps", "{}");
    expect([refused.status, refused.body]).toEqual([
      400,
      '{"code":3,"message":"utf8 must be true or false"}',
    ]);
  });
});

describe("reads by GET", () => {
  it("take fields of the request as parameters", async () => {
    await start();
    const answer = await get(
      "/v3/kv/range?prefix=a%2f%ff&limit=5&sort_order=DESCEND&keysOnly&revision=7&utf8",
    );
    expect(answer).toMatchObject({ status: 200, headers: { "cache-control": "no-store" } });
    expect(answer.body).toContain("käse");
    expect(asked()).toMatchObject({
      key: Uint8Array.of(0x61, 0x2f, 0xff),
      rangeEnd: Uint8Array.of(0x61, 0x30),
      limit: 5n,
      sortOrder: RangeRequest_SortOrder.DESCEND,
      keysOnly: true,
      revision: 7n,
    });
  });

  it("take the least and the largest lease", async () => {
    await start({
      t: "answer",
      message: toBinary(LeaseTimeToLiveResponseSchema, create(LeaseTimeToLiveResponseSchema, { TTL: -1n })),
    });
    expect((await get("/v3beta/lease/timetolive?ID=-9223372036854775808&keys=true")).body).toBe(
      '{"TTL":"-1"}',
    );
    const request = fromBinary(
      LeaseTimeToLiveRequestSchema,
      upstream.calls[0]?.messages[0] ?? new Uint8Array(),
    );
    expect(request).toMatchObject({ ID: -(1n << 63n), keys: true });
  });

  it.each([
    ["/v3/kv/range?limit=1", "key or prefix is missing"],
    ["/v3/kv/range?key=a&limt=1", 'unknown parameter "limt"'],
    ["/v3/kv/range?key=a&limit=9223372036854775808", "limit must be a whole number from"],
    ["/v3/kv/range?key=a&sort_order=UP", "sort_order must be one of NONE, ASCEND, DESCEND"],
    ["/v3/kv/range?key=a&serializable=1", "serializable must be true or false"],
    ["/v3/kv/range?key=a&prefix=b", "key is given more than once"],
    ["/v3/lease/timetolive?keys", "ID is missing"],
  ])("%s is answered 400: %s", async (path, message) => {
    await start();
    const answer = await get(path);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body).message).toContain(message);
    expect(upstream.calls).toEqual([]);
  });

  it.each([
    ["writes", "/v3/kv/put?key=a"],
    ["reads without what they need", "/v3/kv/range"],
    ["the watch without a range", "/v3/watch"],
  ])("do not include %s", async (_, path) => {
    await start();
    expect((await get(path)).status).toBe(501);
    await gateway[Symbol.asyncDispose]();
    await start(ranged, profileV1);
    expect((await get(path)).status).toBe(405);
  });
});

describe("problem details", () => {
  const accept = { Accept: "application/problem+json, application/json" };

  it.each([
    ["in the body", "/v3/kv/txn", '{"compare":[{"key":"!"}]}', { pointer: "#/compare/0/key" }],
    ["in the query", "/v3/kv/range?heartbeat=1h", "{}", { parameter: "heartbeat" }],
  ])("name the place of an error %s", async (_, path, body, place) => {
    await start();
    const answer = await post(path, body, accept);
    expect(answer).toMatchObject({ status: 400, headers: { "content-type": "application/problem+json" } });
    const problem = JSON.parse(answer.body);
    expect(problem).toMatchObject({ type: "about:blank", title: "Bad Request", status: 400, code: 3 });
    expect(problem.errors).toEqual([{ ...place, detail: problem.detail }]);
  });

  it("tell what etcd said, with its code", async () => {
    await start({ t: "error", status: 16, message: "etcdserver: invalid auth token", origin: "server" });
    const answer = await post("/v3/kv/range", "{}", accept);
    expect(answer.status).toBe(401);
    expect(JSON.parse(answer.body)).toEqual({
      type: "about:blank",
      title: "Unauthorized",
      status: 401,
      detail: "etcdserver: invalid auth token",
      code: 16,
    });
  });
});

describe("the page to try it", () => {
  it("and the document are served from here alone", async () => {
    await start();
    expect(JSON.parse((await get("/openapi.json")).body)).toMatchObject({ openapi: "3.0.3" });
    const page = await get("/docs/");
    expect(page.headers["content-security-policy"]).toContain("default-src 'self'");
    const assets = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => path);
    expect(assets.length).toBeGreaterThan(3);
    for (const path of assets) {
      expect(path).toMatch(/^\.\//);
      expect((await get(`/docs/${path.slice(2)}`)).status, path).toBe(200);
    }
    expect((await get("/docs/static/swagger-initializer.js")).body).toContain("validatorUrl: null");
    expect(upstream.calls).toEqual([]);
  });
});
