import { once } from "node:events";
import { connect } from "node:net";
import { rpcs } from "@etcd-edge/proto";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { profileV1, profileV1Early, profileV2 } from "../src/profile/json-profile.ts";
import { FakeUpstream } from "./support/fake-upstream.ts";
import { exchange } from "./support/http-exchange.ts";
import { startTestGateway, type TestGateway } from "./support/test-gateway.ts";

const paths = rpcs
  .filter((rpc) => rpc.kind === "unary")
  .flatMap((rpc) => rpc.http.map((route) => route.path));

/** JSON that comes close to requests, and bytes that do not. */
const names = [
  "key",
  "range_end",
  "rangeEnd",
  "limit",
  "success",
  "request_put",
  "ID",
  "TTL",
  "sort_order",
  "action",
  "perm",
];
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(
      null,
      true,
      1,
      -1,
      1.5,
      1e300,
      "",
      "Zm9v",
      "!!",
      "9223372036854775808",
      "ASCEND",
      99,
    ),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), tie("value"), { maxKeys: 4 }),
  ),
})).value;
const body = fc.oneof(
  json.map((value) => Buffer.from(JSON.stringify(value))),
  fc.tuple(json, fc.nat()).map(([value, cut]) => {
    const text = JSON.stringify(value);
    return Buffer.from(text.slice(0, cut % (text.length + 1)));
  }),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
);

let gateway: TestGateway;

afterEach(async () => {
  // Nothing a stranger sends is a defect of ours.
  expect(gateway.reported).toEqual([]);
  await gateway[Symbol.asyncDispose]();
});

describe("hostile input", () => {
  it.each([
    ["v1", profileV1],
    ["v1 before 3.4.24", profileV1Early],
    ["v2", profileV2],
  ])("is always answered: whole, as JSON, with 200 or 400 (%s)", async (_, profile) => {
    gateway = await startTestGateway({
      profile,
      upstream: new FakeUpstream({ t: "answer", message: new Uint8Array() }),
    });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), body, async (path, sent) => {
        const answer = await exchange(gateway.url, { method: "POST", path, body: sent });
        expect([200, 400]).toContain(answer.status);
        expect(() => JSON.parse(answer.body)).not.toThrow();
      }),
      { numRuns: 300 },
    );
  });

  it("on a WebSocket ends in an answer and a close", async () => {
    gateway = await startTestGateway({
      profile: profileV2,
      upstream: new FakeUpstream({ t: "answer", message: new Uint8Array() }),
    });
    await fc.assert(
      fc.asyncProperty(json, async (value) => {
        const socket = new WebSocket(`${gateway.url.replace("http", "ws")}/v3/kv/txn`);
        const messages: string[] = [];
        socket.on("message", (data) => messages.push(String(data)));
        await once(socket, "open");
        socket.send(JSON.stringify(value));
        const [code] = await once(socket, "close");
        expect([code, messages.length]).toEqual([1000, 1]);
      }),
      { numRuns: 60 },
    );
  });

  it("that is no HTTP ends with the connection, and the gateway serves on", async () => {
    gateway = await startTestGateway({
      profile: profileV2,
      upstream: new FakeUpstream({ t: "answer", message: new Uint8Array() }),
    });
    const port = Number(new URL(gateway.url).port);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
        const socket = connect(port, "127.0.0.1");
        socket.on("error", () => {});
        socket.end(Buffer.from(bytes));
        socket.resume();
        await once(socket, "close");
      }),
      { numRuns: 100 },
    );
    expect((await exchange(gateway.url, { method: "POST", path: "/v3/kv/range", body: "{}" })).status).toBe(
      200,
    );
  });
});
