import { PassThrough } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Cutter } from "./nats-messages.ts";
import { RelayDirection } from "./relay-direction.ts";
import type { RelayWeather } from "./relay-weather.ts";

/** Sends texts through, each in a chunk of its own, and returns what has come out by then. */
async function send(weather: RelayWeather, texts: readonly string[], chance = () => 0.5): Promise<string> {
  const [from, to] = [new PassThrough(), new PassThrough()];
  const way = new RelayDirection(from, to, () => weather, chance);
  way.weatherChanged();
  const out: string[] = [];
  to.on("data", (chunk: Buffer) => out.push(chunk.toString()));
  for (const text of texts) {
    from.write(text);
    await turn();
  }
  await turn();
  return out.join("");
}

describe("one way through a relay", () => {
  it("changes nothing in fair weather", async () => {
    expect(await send({}, ["a", "b", "c"])).toBe("abc");
  });

  it("loses chunks", async () => {
    expect(await send({ dropPercent: 100 }, ["a", "b"])).toBe("");
    expect(await send({ dropPercent: 49 }, ["a", "b"])).toBe("ab");
  });

  it("loses every third of a kind", async () => {
    expect(await send({ dropEvery: 3 }, ["a", "b", "c", "d", "e", "f", "g"])).toBe("abdeg");
    const [from, to] = [new PassThrough(), new PassThrough()];
    const cut: Cutter = (bytes) => [{ bytes, mayBeHarmed: true, kind: bytes.toString().slice(0, 1) }];
    new RelayDirection(
      from,
      to,
      () => ({ dropEvery: 2 }),
      () => 0.5,
      cut,
    );
    const out: string[] = [];
    to.on("data", (chunk: Buffer) => out.push(chunk.toString()));
    for (const text of ["x1", "y1", "x2", "x3", "y2", "x4"]) {
      from.write(text);
      await turn();
    }
    await turn();
    expect(out.join(" ")).toBe("x1 y1 x3");
  });

  it("sends chunks twice", async () => {
    expect(await send({ duplicatePercent: 51 }, ["a", "b"])).toBe("aabb");
  });

  it("sends a chunk behind the next one", async () => {
    const draws = [0.1, 0.9, 0.9]; // the first is held, the others are not
    expect(await send({ reorderPercent: 50 }, ["a", "b", "c"], () => draws.shift() ?? 0.9)).toBe("bac");
  });

  it("lets nothing pass while it is partitioned, and all of it behind that", async () => {
    let weather: RelayWeather = { isPartitioned: true };
    const [from, to] = [new PassThrough(), new PassThrough()];
    const way = new RelayDirection(
      from,
      to,
      () => weather,
      () => 0.5,
    );
    from.write("kept");
    await turn();
    expect(to.read()).toBeNull();
    weather = {};
    way.weatherChanged();
    await turn();
    expect(String(to.read())).toBe("kept");
  });

  it("passes the end, behind everything before it", async () => {
    const [from, to] = [new PassThrough(), new PassThrough()];
    new RelayDirection(
      from,
      to,
      () => ({ delayMs: [5, 5] }),
      () => 0,
    ).weatherChanged();
    from.end("last");
    const chunks: string[] = [];
    for await (const chunk of to) chunks.push(String(chunk));
    expect(chunks.join("")).toBe("last");
  });
});
