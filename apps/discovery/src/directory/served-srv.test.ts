import { type Endpoint, parseEndpoint } from "@etcd-edge/endpoints";
import { describe, expect, it } from "vitest";
import type { DirectoryView } from "./directory.ts";
import { toHostLabel, toServedServices, toServedWeights } from "./served-srv.ts";

function at(url: string, more: Partial<Endpoint> = {}): Endpoint {
  const parsed = parseEndpoint(url);
  if (typeof parsed === "string") throw new Error(parsed);
  return { ...parsed, ...more };
}

function view(entries: [string, boolean][], peers: string[] = []): DirectoryView {
  return {
    cluster: "Main",
    version: 1,
    digest: "",
    entries: entries.map(([url, isAlive]) => ({ endpoint: at(url), isAlive, health: "healthy" })),
    peers: peers.map((url) => at(url)),
  };
}

function targets(shown: DirectoryView, name: string): string[] | undefined {
  return toServedServices(shown, "d.test")
    .get(name)
    ?.map(({ target, port }) => `${target}:${port}`);
}

describe("toServedServices", () => {
  const shown = view(
    [
      ["http://10.0.0.1:2379", true],
      ["http://10.0.0.2:2379", false],
      ["https://n1.example.test.:2379", true],
      ["http://etcd1:2379", true],
      ["unix:///run/x", true],
    ],
    ["http://10.0.0.1:2380"],
  );

  it.each([
    ["_etcd-client._tcp", ["ip-10-0-0-1.d.test:2379", "etcd1.d.test:2379"]],
    ["_etcd-client-ssl._tcp", ["n1.example.test:2379"]],
    ["_etcd-client-main._tcp", ["ip-10-0-0-1.d.test:2379", "etcd1.d.test:2379"]],
    ["_etcd-client-ssl-main._tcp", ["n1.example.test:2379"]],
    ["_etcd-server._tcp", ["ip-10-0-0-1.d.test:2380"]],
    ["_etcd-server-ssl._tcp", []],
  ])("%s names who is alive", (name, expected) => {
    expect(targets(shown, name)).toEqual(expected);
  });

  it("names everybody when nobody is alive", () => {
    const dead = view([
      ["http://10.0.0.1:2379", false],
      ["http://10.0.0.2:2379", false],
    ]);
    expect(targets(dead, "_etcd-client._tcp")).toHaveLength(2);
  });
});

describe("toServedWeights", () => {
  it.each([
    [
      "zeros of one priority stay",
      [
        [0, 0],
        [0, 0],
      ],
      [0, 0],
    ],
    [
      "zeros of several priorities become equal weights",
      [
        [1, 0],
        [2, 0],
      ],
      [500, 500],
    ],
    [
      "small weights are scaled up together",
      [
        [0, 1],
        [0, 1],
      ],
      [500, 500],
    ],
    [
      "proportions are kept",
      [
        [0, 9],
        [0, 1],
      ],
      [900, 100],
    ],
    [
      "large weights stay",
      [
        [0, 60_000],
        [0, 30_000],
      ],
      [60_000, 30_000],
    ],
    [
      "nothing leaves 16 bits",
      [
        [0, 65_535],
        [0, 1],
      ],
      [65_535, 1],
    ],
    [
      "zero beside others stays zero",
      [
        [0, 10],
        [0, 0],
      ],
      [1_000, 0],
    ],
  ])("%s", (_, given, expected) => {
    const endpoints = given.map(([priority = 0, weight = 0]) => ({ priority, weight }));
    expect(toServedWeights(endpoints).map(({ weight }) => weight)).toEqual(expected);
  });
});

describe("toHostLabel", () => {
  it.each([
    ["10.0.0.1", "ip-10-0-0-1"],
    ["::1", "ip---1"],
    ["ETCD1", "etcd1"],
    ["n1.example.test.", undefined],
  ])("%s", (host, label) => {
    expect(toHostLabel(host)).toBe(label);
  });
});
