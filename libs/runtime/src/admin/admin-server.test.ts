import { describe, expect, it } from "vitest";
import { silentLogger } from "../logging/logger.ts";
import { createAdminRoutes, type HttpHandler } from "./admin-routes.ts";
import { parseAdminAddress, startAdminServer } from "./admin-server.ts";
import { createMetrics } from "./metrics.ts";
import { createReadiness } from "./readiness.ts";

describe("parseAdminAddress", () => {
  it.each([
    ["http://127.0.0.1:6633", { t: "tcp", host: "127.0.0.1", port: 6633, secure: false }],
    ["https://[::1]:6633", { t: "tcp", host: "::1", port: 6633, secure: true }],
    ["http://localhost", { t: "tcp", host: "localhost", port: 80, secure: false }],
    ["unix:///run/edge.sock", { t: "unix", path: "/run/edge.sock", secure: false }],
  ])("reads %s", (text, address) => {
    expect(parseAdminAddress(text)).toEqual(address);
  });
  it.each(["127.0.0.1:6633", "ftp://a:1", "http://", "http://a:b"])("refuses %s", (text) => {
    expect(() => parseAdminAddress(text)).toThrow(`cannot parse ${JSON.stringify(text)}`);
  });
});

describe("the admin listener", () => {
  const address = { t: "tcp", host: "127.0.0.1", port: 0, secure: false } as const;

  it("serves metrics, liveness and readiness", async () => {
    const metrics = createMetrics("door");
    const readiness = createReadiness();
    let problem: string | undefined = "no endpoint yet";
    let seen = 3;
    readiness.addCheck("upstream", () => problem);
    metrics.observedCounter({ name: "etcd_edge_seen_total", help: "Seen.", read: () => seen });
    const routes = createAdminRoutes({ metrics, readiness });
    await using server = await startAdminServer({ address, routes, logger: silentLogger });
    const get = async (path: string): Promise<{ status: number; text: string }> => {
      const response = await fetch(server.url + path);
      return { status: response.status, text: await response.text() };
    };

    expect(await get("/livez")).toEqual({ status: 200, text: "ok\n" });
    expect(await get("/readyz")).toEqual({
      status: 503,
      text: "[+]not-draining ok\n[-]upstream failed: no endpoint yet\nnot ready\n",
    });
    problem = undefined;
    expect(await get("/readyz?verbose")).toMatchObject({ status: 200 });
    readiness.startDraining();
    expect(await get("/readyz")).toMatchObject({ status: 503 });

    seen = 5;
    const { text } = await get("/metrics");
    expect(text).toContain('etcd_edge_build_info{tier="door"');
    expect(text).toContain("\netcd_edge_seen_total 5\n");
    expect(await get("/nothing")).toEqual({ status: 404, text: "404 page not found\n" });
  });

  it("answers 500 when a handler fails, and goes on", async () => {
    const routes = new Map<string, HttpHandler>([
      ["/bad", () => Promise.reject(new Error("boom"))],
      ["/good", (_request, response) => void response.end("fine")],
    ]);
    await using server = await startAdminServer({ address, routes, logger: silentLogger });
    expect((await fetch(`${server.url}/bad`)).status).toBe(500);
    expect(await (await fetch(`${server.url}/good`)).text()).toBe("fine");
  });

  it("names the address when it is taken, and the missing certificate when TLS is asked", async () => {
    const routes = new Map();
    await using server = await startAdminServer({ address, routes, logger: silentLogger });
    const taken = parseAdminAddress(server.url);
    await expect(startAdminServer({ address: taken, routes, logger: silentLogger })).rejects.toThrow(
      `listen tcp ${server.url.replace("http://", "")}: bind: address already in use`,
    );
    await expect(
      startAdminServer({ address: { ...address, secure: true }, routes, logger: silentLogger }),
    ).rejects.toThrow("cannot listen on TLS for 127.0.0.1:0: KeyFile and CertFile are not presented");
  });

  it("may be disposed of twice", async () => {
    const server = await startAdminServer({ address, routes: new Map(), logger: silentLogger });
    await server[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await expect(fetch(server.url)).rejects.toThrow();
  });
});
