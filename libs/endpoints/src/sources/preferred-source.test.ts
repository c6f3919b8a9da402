import { describe, expect, it } from "vitest";
import type { Endpoint } from "../endpoint.ts";
import { EndpointSetHolder, type EndpointSource } from "../endpoint-set.ts";
import { createPreferredSource } from "./preferred-source.ts";

const endpoint = (host: string): Endpoint => ({ scheme: "any", host, port: 1, priority: 0, weight: 0 });

function createHeld(...hosts: string[]) {
  const holder = new EndpointSetHolder();
  const set = (...next: string[]): void => void holder.update(next.map(endpoint));
  if (hosts.length > 0) set(...hosts);
  const source: EndpointSource = {
    current: () => holder.current(),
    subscribe: (listener) => holder.subscribe(listener),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return { source, set };
}

describe("a preferred source", () => {
  it("says what the preferred one says, and follows the fallback while that is nobody", async () => {
    const preferred = createHeld();
    const fallback = createHeld("f1");
    await using source = createPreferredSource(preferred.source, fallback.source);
    const hosts = (): string[] => source.current().endpoints.map(({ host }) => host);
    const heard: string[][] = [];
    source.subscribe((set) => heard.push(set.endpoints.map(({ host }) => host)));
    expect(hosts()).toEqual(["f1"]);
    fallback.set("f2");
    preferred.set("p1", "p2");
    fallback.set("f3"); // is nobody's business now
    preferred.set();
    expect(heard).toEqual([["f2"], ["p1", "p2"], ["f3"]]);
    expect(hosts()).toEqual(["f3"]);
  });

  it("hears nothing any more once disposed of", async () => {
    const preferred = createHeld();
    const source = createPreferredSource(preferred.source, createHeld("f").source);
    await source[Symbol.asyncDispose]();
    preferred.set("p");
    expect(source.current().endpoints.map(({ host }) => host)).toEqual(["f"]);
  });
});
