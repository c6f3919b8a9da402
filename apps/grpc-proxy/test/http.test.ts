import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { get as getSecurely } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import {
  type CertificateAuthority,
  createAuthority,
  type EtcdCluster,
  findEtcdBinaries,
  findFreePorts,
  findProgram,
  startEtcdCluster,
} from "@etcd-edge/testkit";
import { Metadata } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Config } from "../src/options.ts";
import { EventLog } from "./event-log.ts";
import { createByteClient, startProxy } from "./proxy-under-test.ts";

const execute = promisify(execFile);
const binary = (await findEtcdBinaries()).at(-1);

describe("HTTP on the client port", () => {
  let authority: CertificateAuthority;
  let cluster: EtcdCluster;

  beforeAll(async () => {
    if (binary === undefined) throw new Error("no etcd is installed");
    authority = await createAuthority();
    cluster = await startEtcdCluster({ binary });
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await authority[Symbol.asyncDispose]();
  });

  /** A proxy whose advertised address is where it listens. */
  const start = async (changed: Partial<Config> = {}, log = new EventLog()) => {
    const [port = 0] = await findFreePorts(1);
    const own = `127.0.0.1:${port}`;
    const addresses = { listenAddr: own, advertiseClientUrl: own, endpoints: cluster.endpoints };
    const proxy = await startProxy({ ...addresses, ...changed }, log.logger);
    return { proxy, port, log };
  };
  const fetchFrom = async (port: number, path: string, tls?: object) => {
    const options = { host: "127.0.0.1", port, path, agent: false };
    const request = tls === undefined ? get(options) : getSecurely({ ...options, ...tls });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    return { status: response.statusCode, headers: response.headers, body: await buffer(response) };
  };
  const healthy = JSON.stringify({ health: "true", reason: "" });

  it("is healthy through itself, by a read and a watch, and counts that", async () => {
    const { proxy, port } = await start({ namespace: "ns/" });
    await using _ = proxy;
    for (const path of ["/health", "/proxy/health"]) {
      const { status, body } = await fetchFrom(port, path);
      expect([status, body.toString()]).toEqual([200, healthy]);
    }
    const { body } = await fetchFrom(port, "/proxy/metrics");
    expect(body.toString()).toMatch(/^etcd_server_health_success 2$/m);
  });

  it("has no connection to itself where it advertises none, and says what is wrong with another", async () => {
    const { proxy, port } = await start({ advertiseClientUrl: "" });
    await using _ = proxy;
    const { status, body } = await fetchFrom(port, "/proxy/health");
    expect([status, body.toString()]).toEqual([
      503,
      '{"health":"false","reason":"no connection to proxy"}\n',
    ]);
    const [nobody = 0] = await findFreePorts(1);
    const other = await start({ advertiseClientUrl: `127.0.0.1:${nobody}` });
    await using _other = other.proxy;
    const refused = await fetchFrom(other.port, "/proxy/health");
    expect(refused.status).toBe(503);
    expect(refused.body.toString()).toContain("GET ERROR:");
  });

  it("stays healthy once etcd wants users", async () => {
    if (binary === undefined) throw new Error("no etcd is installed");
    await using guarded = await startEtcdCluster({ binary });
    for (const args of [
      ["user", "add", "root:pw"],
      ["user", "grant-role", "root", "root"],
      ["auth", "enable"],
    ]) {
      await guarded.etcdctl(args);
    }
    const { proxy, port } = await start({ endpoints: guarded.endpoints });
    await using _ = proxy;
    for (const path of ["/health", "/proxy/health"]) {
      expect((await fetchFrom(port, path)).body.toString()).toBe(healthy);
    }
  });

  it("checks itself behind TLS that wants client certificates", async () => {
    const files = await authority.issue({ name: "http" });
    const { proxy, port } = await start({ ...files, trustedCaFile: authority.caFile });
    await using _ = proxy;
    const tls = {
      ca: authority.ca,
      cert: await readFile(files.certFile),
      key: await readFile(files.keyFile),
    };
    const { status, body } = await fetchFrom(port, "/proxy/health", tls);
    expect([status, body.toString()]).toEqual([200, healthy]);
  });

  it("has etcd's five metrics beside its own at /proxy/metrics, and etcd's at /metrics", async () => {
    const { proxy, port } = await start();
    await using _ = proxy;
    const own = (await fetchFrom(port, "/proxy/metrics")).body.toString();
    for (const [name, type] of [
      ["watchers_coalescing_total", "gauge"],
      ["events_coalescing_total", "counter"],
      ["cache_keys_total", "gauge"],
      ["cache_hits_total", "gauge"],
      ["cache_misses_total", "gauge"],
    ]) {
      expect(own).toContain(`# TYPE etcd_grpc_proxy_${name} ${type}\n`);
    }
    expect(own).toContain("etcd_edge_build_info");
    expect((await fetchFrom(port, "/metrics")).body.toString()).toContain("etcd_server_has_leader 1");
  });

  it("serves the same at --metrics-addr, in the clear and over TLS, without profiles", async () => {
    const [clear = 0, secure = 0] = await findFreePorts(2);
    const files = await authority.issue({ name: "metrics" });
    const { proxy } = await start({ metricsAddr: `http://127.0.0.1:${clear}`, enablePprof: true });
    await using _ = proxy;
    const second = await start({ metricsAddr: `https://127.0.0.1:${secure}`, ...files });
    await using _second = second.proxy;
    for (const [port, tls] of [
      [clear, undefined],
      [secure, { ca: authority.ca }],
    ] as const) {
      for (const path of ["/health", "/proxy/health", "/proxy/metrics", "/metrics", "/livez"]) {
        expect([path, (await fetchFrom(port, path, tls)).status]).toEqual([path, 200]);
      }
      expect((await fetchFrom(port, "/debug/pprof/", tls)).status).toBe(404);
    }
  });

  it("gives profiles that pprof opens, where they are asked for", async () => {
    const { proxy, port } = await start({ enablePprof: true });
    await using _ = proxy;
    const folder = await mkdtemp(join(tmpdir(), "etcd-edge-profiles-"));
    try {
      for (const [path, kind] of [
        ["profile?seconds=1", "wall"],
        ["heap", "space"],
      ] as const) {
        const { status, body } = await fetchFrom(port, `/debug/pprof/${path}`);
        expect(status).toBe(200);
        expect(gunzipSync(body).toString("latin1")).toContain(kind);
        const go = await findProgram("go");
        if (go === undefined) continue;
        const file = join(folder, "profile.pb.gz");
        await writeFile(file, body);
        const { stdout } = await execute(go, ["tool", "pprof", "-top", file]);
        expect(stdout).toContain("flat%");
      }
    } finally {
      await rm(folder, { recursive: true });
    }
    expect((await fetchFrom(port, "/debug/pprof/")).body.toString()).toContain("profile?seconds=30");
    expect((await fetchFrom(port, "/debug/pprof/profile?seconds=0")).status).toBe(400);
    expect((await fetchFrom(port, "/debug/pprof/goroutine")).body.toString()).toContain("this is Node");
    const off = await start();
    await using _off = off.proxy;
    expect((await fetchFrom(off.port, "/debug/pprof/")).status).toBe(404);
  });

  it("logs every message with --experimental-enable-grpc-logging, and no password", async () => {
    const { proxy, port, log } = await start({ experimentalEnableGrpcLogging: true });
    await using _ = proxy;
    using client = createByteClient(port);
    await new Promise<void>((resolve, reject) => {
      client.range(Buffer.from([10, 1, 97]), new Metadata(), {}, (error) =>
        error ? reject(error) : resolve(),
      );
    });
    const asked = await log.waitFor("server request payload logged as grpc.request.content field");
    expect(asked).toMatchObject({
      "grpc.service": "etcdserverpb.KV",
      "grpc.method": "Range",
      "grpc.request.content": { key: "YQ==" },
    });
    expect(asked["peer.address"]).toMatch(/^127\.0\.0\.1:\d+$/);
    const answered = await log.waitFor("server response payload logged as grpc.response.content field");
    expect(answered["grpc.response.content"]).toHaveProperty("header.clusterId");
    await cluster.etcdctl(["user", "add", "logged:secret-word"], [`127.0.0.1:${port}`]);
    const added = await log.waitFor(
      "server request payload logged as grpc.request.content field",
      (fields) => fields["grpc.method"] === "UserAdd",
    );
    expect(added["grpc.request.content"]).toMatchObject({ name: "logged", password: "<not logged>" });
  });
});
