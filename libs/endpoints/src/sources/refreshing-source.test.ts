import { describe, expect, it } from "vitest";
import { endpointAddress } from "../endpoint.ts";
import { ManualClock } from "../manual-clock.ts";
import { parseEndpoints } from "../parse-endpoints.ts";
import { createRefreshingSource, type LoadedEndpoints } from "./refreshing-source.ts";

function loaded(addresses: string[], refreshInMs = 1_000): LoadedEndpoints {
  return { endpoints: parseEndpoints(addresses).endpoints, refreshInMs };
}

function scripted(steps: (LoadedEndpoints | Error)[]) {
  const clock = new ManualClock();
  const outcomes: string[] = [];
  let loads = 0;
  const source = createRefreshingSource({
    clock,
    random: () => 1,
    load: () => {
      const step = steps[Math.min(loads, steps.length - 1)];
      loads += 1;
      return step instanceof Error || step === undefined ? Promise.reject(step) : Promise.resolve(step);
    },
    onOutcome: (outcome) =>
      outcomes.push(outcome.t === "loaded" ? `v${outcome.set.version}` : `retry ${outcome.retryInMs}`),
  });
  const addresses = (): string[] => source.current().endpoints.map(endpointAddress);
  return { source, clock, outcomes, addresses, loadCount: () => loads };
}

describe("createRefreshingSource", () => {
  it("loads at once, then at the pace the loads give, and makes a version of every change", async () => {
    const { source, clock, outcomes, addresses } = scripted([
      loaded(["a:1"]),
      loaded(["a:1"], 5_000),
      loaded(["a:1", "b:1"]),
    ]);
    await using _ = source;
    const versions: number[] = [];
    source.subscribe((set) => versions.push(set.version));
    await expect(source.firstOutcome).resolves.toMatchObject({ t: "loaded" });
    await clock.advance(1_000);
    expect(outcomes).toEqual(["v1", "v1"]);
    await clock.advance(4_999);
    expect(outcomes).toHaveLength(2);
    await clock.advance(1);
    expect(addresses()).toEqual(["a:1", "b:1"]);
    expect(versions).toEqual([1, 2]);
  });

  it("keeps the set when a load fails and tries again with growing waits", async () => {
    const { source, clock, outcomes, addresses } = scripted([
      loaded(["a:1"]),
      new Error("down"),
      new Error("down"),
      loaded(["b:1"]),
    ]);
    await using _ = source;
    await clock.advance(1_000);
    expect(outcomes).toEqual(["v1", "retry 500"]);
    await clock.advance(500);
    expect(outcomes).toEqual(["v1", "retry 500", "retry 1000"]);
    expect(addresses()).toEqual(["a:1"]);
    await clock.advance(1_000);
    expect(addresses()).toEqual(["b:1"]);
  });

  it("tells a failed first attempt without rejecting, and heals", async () => {
    const { source, clock, addresses } = scripted([new Error("no DNS"), loaded(["a:1"])]);
    await using _ = source;
    await expect(source.firstOutcome).resolves.toMatchObject({ t: "failed" });
    expect(source.current().version).toBe(0);
    await clock.advance(500);
    expect(addresses()).toEqual(["a:1"]);
  });

  it("loads at once when asked, but not twice in a moment", async () => {
    const { source, clock, loadCount } = scripted([loaded(["a:1"], 60_000)]);
    await using _ = source;
    await clock.advance(100);
    source.refresh();
    await clock.advance(500);
    expect(loadCount()).toBe(1);
    source.refresh();
    source.refresh();
    await clock.advance(0);
    expect(loadCount()).toBe(2);
  });

  it("leaves nothing behind when disposed", async () => {
    const { source, clock, loadCount } = scripted([loaded(["a:1"])]);
    await clock.advance(0);
    await source[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
    await clock.advance(10_000);
    expect([clock.pending, loadCount()]).toEqual([0, 1]);
  });
});
