import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type EtcdCluster,
  enableAuth,
  findEtcdBinaries,
  findFreePorts,
  startEtcdCluster,
} from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import type { HttpGateway } from "../src/app.ts";
import { EventSourceProbe } from "./support/event-source.ts";
import { exchange } from "./support/http-exchange.ts";
import { LineReader } from "./support/line-reader.ts";
import { startGateway } from "./support/running-gateway.ts";

const timeout = { timeout: 30_000 };
const b64 = (text: string): string => Buffer.from(text).toString("base64");

/** From these on etcd's progress can be believed (rule 4). */
const isTrusted = (version: string): boolean =>
  !version.startsWith("3.4.") || Number(version.split(".")[2]) >= 31;

describe.each(await findEtcdBinaries())("watches of the web before etcd $version", (binary) => {
  let cluster: EtcdCluster;
  let gateway: HttpGateway;

  beforeAll(async () => {
    cluster = await startEtcdCluster({ binary });
    gateway = await startGateway(cluster.endpoints);
  });
  afterAll(async () => {
    for (const one of [gateway, cluster]) await one[Symbol.asyncDispose]();
  });

  /** What etcd itself counts. */
  async function watchers(of = cluster): Promise<number> {
    const text = await (await fetch(`${of.members[0]?.clientUrl}/metrics`)).text();
    return Number(/^etcd_debugging_mvcc_watcher_total (\d+)/m.exec(text)?.[1]);
  }

  it("are one watch at etcd, however many there are and over whatever they come", async () => {
    const create = `{"create_request":{"key":"${b64("tabs")}"}}`;
    using stack = new DisposableStack();
    const lines = Array.from({ length: 40 }, () =>
      stack.use(new LineReader(gateway.url, "/v3/watch", create)),
    );
    const events = Array.from({ length: 40 }, () =>
      stack.use(new EventSourceProbe(gateway.url, "/v3/watch?key=tabs")),
    );
    const sockets = Array.from({ length: 20 }, () => {
      const socket = new WebSocket(`${gateway.url.replace("http", "ws")}/v3/watch`);
      socket.on("open", () => socket.send(create));
      stack.defer(() => socket.terminate());
      const messages: string[] = [];
      socket.on("message", (data) => messages.push(String(data)));
      return messages;
    });
    await expect.poll(() => lines.every((one) => one.lines.length === 1), timeout).toBe(true);
    await expect.poll(() => events.every((one) => one.events.length === 1), timeout).toBe(true);
    await expect.poll(() => sockets.every((one) => one.length === 1), timeout).toBe(true);
    expect(await watchers()).toBe(1);
    await cluster.etcdctl(["put", "tabs", "x"]);
    await expect.poll(() => lines.every((one) => one.lines.length === 2), timeout).toBe(true);
    await expect.poll(() => events.every((one) => one.changes.length === 1), timeout).toBe(true);
    await expect.poll(() => sockets.every((one) => one.length === 2), timeout).toBe(true);
    expect(new Set(lines.map((one) => one.lines[1])).size).toBe(1);
    expect(new Set(sockets.map((one) => one[1]))).toEqual(new Set([lines[0]?.lines[1]]));
    stack.dispose();
    await expect.poll(() => watchers(), timeout).toBe(0);
  });

  it("have many ranges on one connection, each with its id", async () => {
    const body = ["r1", "r2"].map((key, i) => `{"create_request":{"key":"${b64(key)}","watch_id":${i + 5}}}`);
    using reader = new LineReader(gateway.url, "/v3/watch", body.join("\n"));
    await reader.until((lines) => lines.length === 2);
    await cluster.etcdctl(["put", "r2", "x"]);
    await reader.until((lines) => lines.length === 3);
    expect(JSON.parse(reader.lines[2] ?? "").result).toMatchObject({ watch_id: "6" });
  });

  it("tell how far they are, at the interval that the client asks for, and resume from there", async () => {
    const create = `{"create_request":{"key":"quiet"}}`;
    using reader = new LineReader(gateway.url, "/v3/watch?utf8&heartbeat=100ms", create);
    const progress = () =>
      reader.lines.filter((line) => line.includes('"watch_id":"-1"')).map((line) => JSON.parse(line).result);
    await expect.poll(() => progress().length, timeout).toBeGreaterThan(0);
    const first = BigInt(progress()[0]?.header.revision ?? 0);
    await cluster.etcdctl(["put", "noisy", "x"]);
    if (isTrusted(binary.version)) {
      await expect.poll(() => BigInt(progress().at(-1)?.header.revision ?? 0) > first, timeout).toBe(true);
    } else {
      const beats = progress().length;
      await expect.poll(() => progress().length, timeout).toBeGreaterThan(beats + 2);
      expect(BigInt(progress().at(-1)?.header.revision)).toBe(first);
    }
    // Before the put: a beat that comes soon after tells of it already.
    const resumed = BigInt(progress().at(-1)?.header.revision) + 1n;
    await cluster.etcdctl(["put", "quiet", "1"]);
    using second = new LineReader(
      gateway.url,
      "/v3/watch?utf8",
      `{"create_request":{"key":"quiet","start_revision":${resumed}}}`,
    );
    await second.until((lines) => lines.length === 2);
    expect(second.lines[1]).toContain('"value":"1"');
  });

  it("are to be had by GET as lines, which tell by themselves how far they are", async () => {
    await using beating = await startGateway(cluster.endpoints, ["--events-heartbeat-interval=100ms"]);
    using reader = new LineReader(beating.url, "/v3/watch?prefix=g/&key=h&utf8", undefined);
    await reader.until((lines) => lines.filter((line) => line.includes('"created":true')).length === 2);
    expect(reader.headers).toMatchObject({
      "x-accel-buffering": "no",
      "cache-control": "no-cache, no-transform",
    });
    await cluster.etcdctl(["put", "g/1", "x"]);
    await reader.until((lines) => lines.some((line) => line.includes('"key":"g/1"')));
    // An older etcd does not say how far the other range is: the line is then empty.
    const isBeat = (line: string): boolean =>
      isTrusted(binary.version) ? line.includes('"watch_id":"-1"') : line === "";
    const before = reader.lines.filter(isBeat).length;
    await reader.until((lines) => lines.filter(isBeat).length > before);
  });

  it("end by their deadline, each for itself", async () => {
    const create = `{"create_request":{"key":"${b64("d")}"}}`;
    using other = new LineReader(gateway.url, "/v3/watch", create);
    await other.until((lines) => lines.length === 1);
    const headers = { "Grpc-Timeout": "300m" };
    const { body } = await exchange(gateway.url, {
      method: "POST",
      path: "/v3/watch",
      body: create,
      headers,
    });
    expect(body).toContain("context deadline exceeded");
    await cluster.etcdctl(["put", "d", "x"]);
    await other.until((lines) => lines.length === 2);
  });

  it("rule 34: show nobody what its credential may not read, though others share it", async () => {
    await using guarded = await startEtcdCluster({ binary });
    await enableAuth(guarded, ["ann"]);
    await using door = await startGateway(guarded.endpoints);
    const tokenOf = async (name: string): Promise<string> => {
      const body = JSON.stringify({ name, password: "pw" });
      const answer = await fetch(`${door.url}/v3/auth/authenticate`, { method: "POST", body });
      return ((await answer.json()) as { token: string }).token;
    };
    const root = await tokenOf("root");
    const body = `{"create_request":{"key":"${b64("secret")}"}}`;
    using allowed = new LineReader(door.url, "/v3/watch", body, { Authorization: `Bearer ${root}` });
    using alike = new LineReader(door.url, "/v3/watch", body, { "Grpc-Metadata-Token": root });
    using denied = new LineReader(door.url, "/v3/watch", body, { Authorization: await tokenOf("ann") });
    using nobody = new LineReader(door.url, "/v3/watch", body);
    for (const reader of [allowed, alike, denied, nobody]) await reader.until((lines) => lines.length === 1);
    expect(JSON.parse(denied.lines[0] ?? "").result.cancel_reason).toContain("permission denied");
    expect(JSON.parse(nobody.lines[0] ?? "").result.cancel_reason).toContain("user name is empty");
    await guarded.etcdctl(["put", "secret", "x", "--user=root:pw"]);
    for (const reader of [allowed, alike]) await reader.until((lines) => lines.length === 2);
    expect(denied.lines).toHaveLength(1);
    expect(nobody.lines).toHaveLength(1);
    expect(await watchers(guarded)).toBe(1);
  });

  it("rule 28: reads of all who may read a key are shared under --user, and nobody else gets them", async () => {
    await using undo = new AsyncDisposableStack();
    const guarded = undo.use(await startEtcdCluster({ binary }));
    await enableAuth(guarded, ["ann"]);
    const folder = await mkdtemp(join(tmpdir(), "etcd-edge-user-"));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, "password"), "pw");
    const [admin = 0] = await findFreePorts(1);
    const flags = [
      "--user=root",
      `--password-file=${join(folder, "password")}`,
      "--auth-recheck=60s",
      `--metrics-addr=http://127.0.0.1:${admin}`,
    ];
    const door = undo.use(await startGateway(guarded.endpoints, flags));
    const post = async (path: string, body: unknown, token?: string): Promise<Record<string, unknown>> => {
      const headers: Record<string, string> = token === undefined ? {} : { Authorization: token };
      const answer = await fetch(`${door.url}${path}`, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
      });
      return (await answer.json()) as Record<string, unknown>;
    };
    const tokenOf = async (name: string): Promise<string> =>
      String((await post("/v3/auth/authenticate", { name, password: "pw" }))["token"]);
    const [one, two, ann] = [await tokenOf("root"), await tokenOf("root"), await tokenOf("ann")];
    await post("/v3/kv/put", { key: b64("k"), value: b64("v") }, one);
    const read = async (token: string): Promise<unknown> =>
      await post("/v3/kv/range", { key: b64("k") }, token);
    const shared = async (): Promise<number> => {
      const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
      return Number(/^etcd_edge_reads_as_user_total (\S+)/m.exec(text)?.[1]);
    };
    for (const token of [one, two]) {
      const before = await shared();
      await expect.poll(() => read(token).then(shared), { ...timeout, interval: 20 }).toBeGreaterThan(before);
    }
    const before = await shared();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => read(i % 2 === 0 ? one : two)));
    for (const answer of answers) expect(answer).toMatchObject({ kvs: [{ key: b64("k"), value: b64("v") }] });
    expect(await shared()).toBe(before + 20);
    expect(await read(ann)).toMatchObject({ code: 7, message: "etcdserver: permission denied" });
    await post("/v3/kv/put", { key: b64("k"), value: b64("w") }, one);
    expect(await read(two)).toMatchObject({ kvs: [{ value: b64("w") }] });
  });

  it("that are not read cost the others nothing, and miss nothing", async () => {
    const create = `{"create_request":{"key":"${b64("slow")}"}}`;
    const { hostname, port } = new URL(gateway.url);
    const slow = request({ host: hostname, port, path: "/v3/watch", method: "POST", agent: false });
    slow.on("error", () => {});
    slow.end(create);
    const [response] = await once(slow, "response");
    response.pause();
    using fast = new LineReader(gateway.url, "/v3/watch", create);
    await fast.until((lines) => lines.length === 1);
    const value = b64("x".repeat(400_000));
    const count = 40;
    for (let i = 0; i < count; i++) {
      const body = `{"key":"${b64("slow")}","value":"${value}"}`;
      await exchange(gateway.url, { method: "POST", path: "/v3/kv/put", body });
    }
    const versionsIn = (text: string): number[] =>
      [...text.matchAll(/"version":"(\d+)"/g)].map(([, version]) => Number(version));
    // Events that come while one is being taken travel together.
    await fast.until((lines) => versionsIn(lines.join()).length === count);
    let text = "";
    response.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    response.resume();
    await expect.poll(() => versionsIn(text).length, timeout).toBe(count);
    for (const seen of [text, fast.lines.join()])
      expect(versionsIn(seen)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
    slow.destroy();
  });
});
