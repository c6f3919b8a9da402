import { describe, expect, it } from "vitest";
import { toCallHeaders } from "./request-metadata.ts";

const strict = { forwardAll: false, peerAddress: "10.0.0.9" };

describe("toCallHeaders", () => {
  it.each([
    ["a bare token", ["Authorization", "abc.1"], ["authorization", "abc.1"]],
    [
      "a bearer token, which old releases of etcd would refuse",
      ["authorization", "Bearer abc.1"],
      ["authorization", "abc.1"],
    ],
    [
      "Grpc-Metadata-Token before Authorization (rule 36)",
      ["Authorization", "a", "Grpc-Metadata-Token", "t"],
      ["token", "t"],
    ],
    ["the first of two", ["Authorization", "a", "Grpc-Metadata-Authorization", "b"], ["authorization", "a"]],
    ["an empty one, which is a bad token and not none", ["Authorization", ""], ["authorization", ""]],
    ["none where the header is not one of these", ["Token", "t"], []],
  ])("takes %s", (_, raw, metadata) => {
    expect(toCallHeaders(raw, strict).metadata).toEqual(metadata);
  });

  it("cuts the prefix off metadata and drops what gRPC keeps to itself", () => {
    const raw = [
      "Grpc-Metadata-Hasleader",
      "true",
      "Grpc-Metadata-Grpc-Status",
      "0",
      "Grpc-Metadata-TE",
      "x",
      "Grpc-Metadata-ä",
      "x",
    ];
    expect(toCallHeaders(raw, strict).metadata).toEqual(["hasleader", "true"]);
  });

  it("leaves out values that cannot travel", () => {
    expect(toCallHeaders(["Grpc-Metadata-Foo", "\u00e4"], strict).metadata).toEqual([]);
  });

  it("writes -bin values as gRPC does, and refuses what is no base64 in etcd's words", () => {
    expect(toCallHeaders(["Grpc-Metadata-Foo-Bin", "AAE="], strict).metadata).toEqual(["foo-bin", "AAE"]);
    expect(() => toCallHeaders(["grpc-metadata-foo-bin", "!!"], strict)).toThrow(
      "invalid binary header Grpc-Metadata-Foo-Bin: illegal base64 data at input byte 0",
    );
  });

  it.each([
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["5S", 5_000],
    ["700m", 700],
    ["10u", 0.01],
    ["1n", 1e-6],
    ["-1S", -1_000],
    ["0S", undefined],
  ])("reads Grpc-Timeout %s as %d ms", (text, ms) => {
    expect(toCallHeaders(["Grpc-Timeout", text], strict).timeoutMs).toBe(ms);
  });

  it.each(["5s", "5", "S", "", "1.5S"])("refuses Grpc-Timeout %j", (text) => {
    expect(() => toCallHeaders(["Grpc-Timeout", text], strict)).toThrow(`invalid grpc-timeout: ${text}`);
  });

  it("sends what etcd's own door sends only when asked to", () => {
    const raw = ["Host", "h:1", "User-Agent", "curl", "X-Other", "x", "X-Forwarded-For", "1.2.3.4"];
    expect(toCallHeaders(raw, strict).metadata).toEqual([]);
    expect(toCallHeaders(raw, { ...strict, forwardAll: true }).metadata).toEqual([
      "grpcgateway-host",
      "h:1",
      "grpcgateway-user-agent",
      "curl",
      "x-forwarded-for",
      "1.2.3.4, 10.0.0.9",
      "x-forwarded-host",
      "h:1",
    ]);
  });
});
