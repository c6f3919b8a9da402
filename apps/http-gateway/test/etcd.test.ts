import { once } from "node:events";
import { type EtcdCluster, findEtcdBinaries, startEtcdCluster } from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import type { HttpGateway } from "../src/app.ts";
import { exchange } from "./support/http-exchange.ts";
import { LineReader } from "./support/line-reader.ts";
import { startGateway } from "./support/running-gateway.ts";

const binaries = await findEtcdBinaries();
const b64 = (text: string): string => Buffer.from(text).toString("base64");

async function post(
  url: string,
  path: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; text: string; json: Record<string, unknown> }> {
  const answer = await exchange(url, { method: "POST", path, headers, body: JSON.stringify(body) });
  return {
    status: answer.status,
    text: answer.body,
    json: JSON.parse(answer.body) as Record<string, unknown>,
  };
}

describe.each(binaries.map((binary) => [binary.version, binary] as const))(
  "in front of etcd %s",
  (version, binary) => {
    let cluster: EtcdCluster;
    let gateway: HttpGateway;
    const isV1 = version.startsWith("3.4.");

    beforeAll(async () => {
      cluster = await startEtcdCluster({ binary });
      gateway = await startGateway(cluster.endpoints);
    });

    afterAll(async () => {
      await gateway[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    });

    it("tells a watch of every put, over HTTP and WebSocket alike", async () => {
      using overHttp = new LineReader(gateway.url, "/v3/watch", `{"create_request":{"key":"${b64("w")}"}}`);
      await overHttp.until((lines) => lines.length === 1);
      const socket = new WebSocket(`${gateway.url.replace("http", "ws")}/v3/watch`);
      const messages: string[] = [];
      socket.on("message", (data) => messages.push(String(data)));
      await once(socket, "open");
      socket.send(`{"create_request":{"key":"${b64("w")}"}}`);
      await once(socket, "message");
      for (let i = 0; i < 20; i++)
        await post(gateway.url, "/v3/kv/put", { key: b64("w"), value: b64(String(i)) });
      const valuesIn = (lines: readonly string[]): unknown[] =>
        lines.flatMap((line) =>
          [...line.matchAll(/"value":"([^"]*)"/g)].map(([, value = ""]) =>
            Buffer.from(value, "base64").toString(),
          ),
        );
      await overHttp.until((lines) => valuesIn(lines).length === 20);
      while (valuesIn(messages).length < 20) await once(socket, "message");
      const expected = Array.from({ length: 20 }, (_, i) => String(i));
      expect(valuesIn(overHttp.lines)).toEqual(expected);
      expect(valuesIn(messages)).toEqual(expected);
      socket.close();
      await once(socket, "close");
    });

    it("takes back the place in a lock's queue of a client that stopped waiting", async () => {
      const { url } = gateway;
      const leases = await Promise.all([1, 2].map(() => post(url, "/v3/lease/grant", { TTL: 600 })));
      const [owner, waiter] = leases.map(({ json }) => json["ID"]);
      await post(url, "/v3/lock/lock", { name: b64("l"), lease: owner });
      const gone = new AbortController();
      const waiting = exchange(url, {
        method: "POST",
        path: "/v3/lock/lock",
        body: JSON.stringify({ name: b64("l"), lease: waiter }),
        signal: gone.signal,
      });
      const queued = async (): Promise<unknown> =>
        (await post(url, "/v3/kv/range", { key: b64("l/"), range_end: b64("l0") })).json["count"];
      while ((await queued()) !== "2");
      gone.abort();
      await expect(waiting).rejects.toThrow();
      while ((await queued()) !== "1");
    });

    it("relays a snapshot whole", async () => {
      const { body } = await exchange(gateway.url, {
        method: "POST",
        path: "/v3/maintenance/snapshot",
        body: "{}",
      });
      const frames = body
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { result: { remaining_bytes?: string; blob?: string } }).result);
      const lengths = frames.map(({ blob = "" }) => Buffer.from(blob, "base64").length);
      // Pages of the backend, then a SHA-256 of them.
      expect(lengths.at(-1)).toBe(32);
      const total = lengths.reduce((sum, length) => sum + length, 0);
      expect((total - 32) % 4096).toBe(0);
      expect(frames.at(-1)?.remaining_bytes).toBeUndefined();
    });

    it("carries a range of several megabytes whole, as etcd's own door does: in pages, or a stream where etcd has RangeStream", async () => {
      const value = b64("x".repeat(200_000));
      for (let i = 10; i < 50; i++) await post(gateway.url, "/v3/kv/put", { key: b64(`big${i}`), value });
      const range = { key: b64("big"), range_end: b64("bih") };
      const [door = ""] = cluster.members.map(({ clientUrl }) => clientUrl);
      const [ours, theirs] = [
        await post(gateway.url, "/v3/kv/range", range),
        await post(door, "/v3/kv/range", range),
      ];
      expect(ours.json).toEqual(theirs.json);
      expect(ours.json["kvs"]).toHaveLength(40);
      const metrics = (await exchange(door, { method: "GET", path: "/metrics" })).body;
      const streams = /grpc_server_started_total\{[^}]*"RangeStream"[^}]*\} (\d+)/.exec(metrics)?.[1] ?? "0";
      expect(streams).toBe(/^3\.[4-6]\./.test(version) ? "0" : "1");
    });

    it("serves /version, /health and /readyz", async () => {
      const answers = await Promise.all(
        ["/version", "/health", "/readyz", "/livez"].map((path) =>
          exchange(gateway.url, { method: "GET", path }),
        ),
      );
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      expect(JSON.parse(answers[0]?.body ?? "")).toMatchObject({ etcdserver: version });
      expect(answers[1]?.body).toBe(isV1 ? '{"health":"true"}' : '{"health":"true","reason":""}');
    });

    // The curl lines of every etcd tutorial: no content type, authentication on the way. Last, for it leaves auth on.
    it("takes the tutorial's requests as written", async () => {
      const { url } = gateway;
      const steps: [string, object][] = [
        ["/v3/kv/put", { key: "Zm9v", value: "YmFy" }],
        ["/v3/kv/range", { key: "Zm9v" }],
        ["/v3/kv/range", { key: "Zm9v", range_end: "Zm9w" }],
        [
          "/v3/kv/txn",
          {
            compare: [{ target: "CREATE", key: "Zm9v", createRevision: "2" }],
            success: [{ requestPut: { key: "Zm9v", value: "YmFy" } }],
          },
        ],
        ["/v3/auth/user/add", { name: "root", password: "pass" }],
        ["/v3/auth/role/add", { name: "root" }],
        ["/v3/auth/user/grant", { user: "root", role: "root" }],
        ["/v3/auth/enable", {}],
      ];
      for (const [path, body] of steps)
        expect([path, (await post(url, path, body)).status]).toEqual([path, 200]);
      const { json } = await post(url, "/v3/auth/authenticate", { name: "root", password: "pass" });
      const token = String(json["token"]);
      const put = { key: "Zm9v", value: "YmFy" };
      for (const headers of [
        { Authorization: token },
        { Authorization: `Bearer ${token}` },
        { "Grpc-Metadata-Token": token },
      ]) {
        expect((await post(url, "/v3/kv/put", put, headers)).status).toBe(200);
      }
      const bad = await post(url, "/v3/kv/put", put, { Authorization: "bad" });
      expect(bad.status).toBe(401);
      expect(bad.text).toBe(
        isV1
          ? '{"error":"etcdserver: invalid auth token","message":"etcdserver: invalid auth token","code":16}'
          : '{"code":16,"message":"etcdserver: invalid auth token"}',
      );
      const none = await post(url, "/v3/kv/put", put);
      expect([none.status, none.json["message"]]).toEqual([400, "etcdserver: user name is empty"]);
      const socket = new WebSocket(`${url.replace("http", "ws")}/v3/kv/range`, ["Bearer", token]);
      await once(socket, "open");
      socket.send('{"key":"Zm9v"}');
      const [message] = await once(socket, "message");
      expect(String(message)).toContain('"value":"YmFy"');
      await once(socket, "close");
      expect((await exchange(url, { method: "GET", path: "/health" })).status).toBe(200);
    });
  },
);

it("speaks the exact bytes of 3.4.24 to 3.5 when told to", async () => {
  const [binary] = binaries;
  if (binary === undefined) throw new Error("no etcd is installed");
  await using cluster = await startEtcdCluster({ binary });
  await using gateway = await startGateway(cluster.endpoints, ["--json-profile=v1"]);
  await cluster.etcdctl(["user", "add", "root:pass"]);
  await cluster.etcdctl(["user", "grant-role", "root", "root"]);
  await cluster.etcdctl(["auth", "enable"]);
  const bad = await post(gateway.url, "/v3/kv/put", { key: "Zm9v" }, { Authorization: "bad" });
  expect(bad.text).toBe(
    '{"error":"etcdserver: invalid auth token","code":16,"message":"etcdserver: invalid auth token"}',
  );
});
