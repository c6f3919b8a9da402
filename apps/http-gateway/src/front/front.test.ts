import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { cleanPath } from "./clean-path.ts";
import { allowAskedHeaders, createCorsPolicy } from "./cors.ts";
import { decide, type FrontDecision } from "./front.ts";
import { createHostWhitelist } from "./host-whitelist.ts";

function ask(
  request: { method?: string; url: string; host?: string; origin?: string },
  rules: { hosts?: string[]; cors?: string[]; tls?: boolean } = {},
): FrontDecision & { rejected: string[] } {
  const rejected: string[] = [];
  const { method = "POST", url, host = "localhost:23780", origin } = request;
  const decision = decide(
    {
      hostWhitelist: rules.tls === true ? undefined : createHostWhitelist(rules.hosts ?? ["*"]),
      cors: createCorsPolicy(rules.cors ?? ["*"]),
      onHostRejected: (name) => rejected.push(name),
    },
    { method, url, headers: { host, origin } } as IncomingMessage,
  );
  return { ...decision, rejected };
}

describe("front", () => {
  it.each(["/v3/kv/range", "/v3beta/kv/range", "/v3alpha/kv/range", "/v3/kv/r%61nge?x=y", "/v3/kv%2Frange"])(
    "routes %s as /v3/kv/range",
    (url) => {
      expect(ask({ url })).toMatchObject({ t: "pass", path: "/v3/kv/range" });
    },
  );

  it("answers OPTIONS on any path, behind the check of the Host", () => {
    expect(ask({ method: "OPTIONS", url: "/nope" })).toMatchObject({ t: "answer", status: 200, body: "" });
    expect(ask({ method: "OPTIONS", url: "/nope", host: "evil" }, { hosts: ["a"] })).toMatchObject({
      status: 421,
    });
  });

  it("redirects unclean paths with the method kept", () => {
    const decision = ask({ url: "/v3//kv/../kv/range?a=b" });
    expect(decision).toMatchObject({ t: "answer", status: 307 });
    expect(decision.headers).toContain("/v3/kv/range?a=b");
    expect(ask({ url: "/v3" }).headers).toContain("/v3/");
  });

  it("refuses a path with an escape that is none", () => {
    expect(ask({ url: "/v3/%zz" })).toMatchObject({ status: 400 });
  });

  it("refuses a strange Host without CORS headers, and tells of it", () => {
    const decision = ask({ url: "/health", host: "evil.example:1" }, { hosts: ["good.example"] });
    expect(decision).toMatchObject({ t: "answer", status: 421, rejected: ["evil.example:1"] });
    expect(decision.headers).not.toContain("Access-Control-Allow-Origin");
  });

  it("does not look at the Host behind TLS", () => {
    expect(ask({ url: "/health", host: "evil" }, { hosts: ["a"], tls: true }).t).toBe("pass");
  });
});

describe("host whitelist", () => {
  it.each([
    ["foo.example", ["foo.example"], true],
    ["foo.example:2379", ["foo.example"], true],
    ["FOO.example.", ["foo.example"], true],
    ["bar.example", ["foo.example"], false],
    ["[::1]:2379", ["::1"], true],
    ["[::1]", ["::1"], true],
    ["::1", ["[::1]"], true],
    [undefined, ["foo.example"], true],
    ["anything", ["*"], true],
    ["anything", [], true],
  ])("%s against %j: %s", (host, hosts, allowed) => {
    expect(createHostWhitelist(hosts).allows(host)).toBe(allowed);
  });
});

describe("CORS", () => {
  it("lets everybody in by default", () => {
    expect(createCorsPolicy(["*"])(undefined)).toContain("Access-Control-Allow-Origin");
  });

  it.each([
    ["http://a.example", ["http://a.example"], true],
    ["http://a.example", ["http://a.example:80"], true],
    ["https://b.example:8443", ["https://b.example:8443"], true],
    ["http://a.example", ["https://a.example"], false],
    ["null", ["https://a.example"], false],
    [undefined, ["https://a.example"], false],
  ])("origin %s against %j: %s", (origin, listed, allowed) => {
    const headers = createCorsPolicy(listed)(origin);
    expect(headers.includes("Access-Control-Allow-Origin")).toBe(allowed);
    expect(headers.slice(-2)).toEqual(["Vary", "Origin"]);
    if (allowed) expect(headers).toContain(origin);
  });

  it.each([[["*", "http://a.example"]], [["a.example"]], [["http://a.example/path"]]])(
    "refuses %j",
    (origins) => {
      expect(() => createCorsPolicy(origins)).toThrow('invalid "--cors"');
    },
  );
});

describe("a preflight", () => {
  const allowed = "accept, content-type, authorization";
  const cors = createCorsPolicy(["*"])(undefined);

  it.each([
    [undefined, allowed],
    ["content-type", allowed],
    [
      "X-Etcd-Utf8, Grpc-Metadata-Token,grpc-timeout",
      `${allowed}, x-etcd-utf8, grpc-metadata-token, grpc-timeout`,
    ],
    ["x-anything, cookie", allowed],
    ["grpc-metadata-, grpc-metadata-a b", allowed],
  ])("that asks for %s is told %s", (asked, value) => {
    const headers = allowAskedHeaders(cors, asked);
    expect(headers[headers.indexOf("Access-Control-Allow-Headers") + 1]).toBe(value);
  });

  it("of a page that is not let in is told nothing", () => {
    const denied = createCorsPolicy(["http://a.example"])("http://b.example");
    expect(allowAskedHeaders(denied, "x-etcd-utf8")).toEqual(["Vary", "Origin"]);
  });
});

describe("cleanPath", () => {
  it.each([
    ["/", "/"],
    ["//", "/"],
    ["/a/./b//c/../d", "/a/b/d"],
    ["/a/", "/a/"],
    ["/../..", "/"],
    ["", "/"],
  ])("%s is %s", (path, cleaned) => {
    expect(cleanPath(path)).toBe(cleaned);
  });
});
