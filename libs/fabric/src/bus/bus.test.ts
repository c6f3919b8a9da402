import { describe, expect, it } from "vitest";
import { createInProcessBus } from "./in-process-bus.ts";
import { subjectToken } from "./message-bus.ts";
import { sealBus } from "./seal-bus.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const key = Buffer.from("a key of the fabric");

describe("createInProcessBus", () => {
  it("delivers to all subscribers of the subject and to nobody else, until they leave", async () => {
    await using bus = createInProcessBus();
    const heard: string[] = [];
    const leave = bus.subscribe("a", (data) => heard.push(`1 ${Buffer.from(data)}`));
    bus.subscribe("a", (data) => heard.push(`2 ${Buffer.from(data)}`));
    bus.subscribe("b", () => heard.push("b"));
    bus.publish("a", Buffer.from("x"));
    await turn();
    leave();
    bus.publish("a", Buffer.from("y"));
    await turn();
    expect(heard).toEqual(["1 x", "2 x", "2 y"]);
    expect(bus.counters).toMatchObject({ published: 2, received: 3 });
  });

  it("drops what is published after its end", async () => {
    const bus = createInProcessBus();
    await bus[Symbol.asyncDispose]();
    bus.publish("a", Buffer.from("x"));
    expect(bus.counters.dropped).toBe(1);
    expect(bus.state()).toEqual({ t: "closed" });
  });
});

describe("sealBus", () => {
  it("rule 37: passes on what was sealed with the same key for the same subject, and nothing else", async () => {
    await using inner = createInProcessBus();
    const bus = sealBus(inner, key);
    const stranger = sealBus(inner, Buffer.from("another key"));
    const heard: string[] = [];
    let sealed: Uint8Array = Buffer.alloc(0);
    inner.subscribe("a", (data) => (sealed = data));
    bus.subscribe("a", (data) => heard.push(Buffer.from(data).toString()));
    bus.subscribe("b", (data) => heard.push(Buffer.from(data).toString()));
    bus.publish("a", Buffer.from("good"));
    stranger.publish("a", Buffer.from("forged"));
    inner.publish("a", Buffer.from("bare"));
    inner.publish("a", Buffer.alloc(0));
    await turn();
    inner.publish("b", sealed); // moved to another subject
    const flipped = Buffer.from(sealed);
    flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
    inner.publish("a", flipped);
    await turn();
    expect(heard).toEqual(["good"]);
    expect(bus.counters.rejected).toBe(5);
  });
});

describe("subjectToken", () => {
  it.each([
    ["etcd", "etcd"],
    ["a.b", "a_2e_b"],
    ["a>*", "a_3e__2a_"],
    ["", "_"],
    ["é", "_e9_"],
  ])("%j becomes %s", (text, token) => {
    expect(subjectToken(text)).toBe(token);
  });
});
