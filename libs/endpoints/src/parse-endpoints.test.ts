import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { endpointAddress, endpointKey, endpointUrl } from "./endpoint.ts";
import { uniqueEndpoints } from "./endpoint-set.ts";
import { parseEndpoint, parseEndpoints, splitHostPort } from "./parse-endpoints.ts";

describe("parseEndpoints", () => {
  it.each([
    ["host:port", "127.0.0.1:2379", "127.0.0.1:2379"],
    ["name:port", "localhost:2379", "localhost:2379"],
    ["http URL", "http://a.example:2379", "http://a.example:2379"],
    ["https URL with path and user", "https://u:p@a.example:2379/x?y#z", "https://a.example:2379"],
    ["any other scheme is forgotten", "tcp://a:1", "a:1"],
    ["no scheme but an authority", "//a:1/path", "a:1"],
    ["IPv6", "[::1]:2379", "[::1]:2379"],
    ["IPv6 URL", "https://[2001:db8::1]:2379", "https://[2001:db8::1]:2379"],
    ["absolute name", "https://n1.example.test.:40021", "https://n1.example.test.:40021"],
    ["unix path", "unix:///run/etcd.sock", "unix:///run/etcd.sock"],
    ["unix path, relative", "unix://localhost:m0", "unix://localhost:m0"],
    ["unix with TLS", "unixs:///run/etcd.sock", "unixs:///run/etcd.sock"],
  ])("reads %s", (_, text, url) => {
    const parsed = parseEndpoint(text);
    expect(typeof parsed === "string" ? parsed : endpointUrl(parsed)).toBe(url);
  });

  it.each([
    ["no port", "localhost", 'error parsing endpoint "localhost"'],
    ["no port in a URL", "http://localhost", 'error parsing endpoint "localhost"'],
    ["empty entry", "", 'error parsing endpoint ""'],
    ["service name as port", "host:http", 'error parsing endpoint "host:http"'],
    ["port too large", "host:70000", 'error parsing endpoint "host:70000"'],
    ["port 0", "host:0", 'error parsing endpoint "host:0"'],
    ["IPv6 without brackets", "::1:2379", 'error parsing endpoint "::1:2379"'],
  ])("refuses %s", (_, text, error) => {
    expect(parseEndpoint(text)).toBe(error);
  });

  it("reports all errors at once and keeps what parses", () => {
    const { endpoints, errors } = parseEndpoints(["a:1", "b", "c:2", ""]);
    expect(endpoints.map(endpointAddress)).toEqual(["a:1", "c:2"]);
    expect(errors).toEqual(['error parsing endpoint "b"', 'error parsing endpoint ""']);
  });

  it("keeps repeats in the list and once in a set, whatever the spelling", () => {
    const { endpoints } = parseEndpoints(["a.test:1", "http://A.test.:1", "a.test:2"]);
    expect(endpoints).toHaveLength(3);
    expect(uniqueEndpoints(endpoints).map(endpointKey)).toEqual(["a.test:1", "a.test:2"]);
  });

  it("reads back every address it prints", () => {
    const host = fc.oneof(
      fc.ipV4(),
      fc.ipV6().filter((ip) => !ip.includes(".")),
      fc.domain(),
    );
    fc.assert(
      fc.property(host, fc.integer({ min: 1, max: 65_535 }), (name, port) => {
        const parsed = parseEndpoint(name.includes(":") ? `[${name}]:${port}` : `${name}:${port}`);
        expect(parsed).toMatchObject({ host: name, port });
      }),
    );
  });

  it("never throws", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseEndpoints([text, `http://${text}`])));
  });
});

describe("splitHostPort", () => {
  it.each([
    [":2379", { host: "", port: 2379 }],
    ["[::]:2379", { host: "::", port: 2379 }],
    ["127.0.0.1", undefined],
    ["a:b:1", undefined],
  ])("%s", (text, expected) => {
    expect(splitHostPort(text)).toEqual(expected);
  });
});
