import { type EndpointSource, endpointUrl, parseEndpoints } from "@etcd-edge/endpoints";
import { type Clock, silentLogger } from "@etcd-edge/runtime";
import { describe, expect, it } from "vitest";
import { createInProcessBus } from "../bus/in-process-bus.ts";
import type { OpenedBus } from "../config/open-bus.ts";
import { createAnnouncer } from "./endpoint-announcements.ts";
import { openUpstreamSource, type UpstreamConfig } from "./upstream-source.ts";

const config: UpstreamConfig = {
  discoverySrv: "",
  discoverySrvName: "",
  insecureDiscovery: false,
  dnsServers: [],
  discoveryUrl: [],
  discoveryFabric: false,
  discoveryTier: "members",
  discoveryCluster: "etcd",
  natsUrl: [],
  fabricPrefix: "p",
};
const onFabric = { discoveryFabric: true, natsUrl: ["nats://127.0.0.1:1"] };
const listed = parseEndpoints(["10.0.0.9:2379"]).endpoints;
const announced = [{ url: "http://10.0.0.1:2379", priority: 0, weight: 0, alive: true }];
/** Stands still; the timers of so many milliseconds are let go by hand. */
function createStillClock(): Clock & { fire(delayMs: number): void } {
  const timers = new Map<number, () => void>();
  return {
    nowMs: () => 0,
    setTimer(delayMs, fire) {
      timers.set(delayMs, fire);
      return { stop: () => void timers.delete(delayMs) };
    },
    fire: (delayMs) => timers.get(delayMs)?.(),
  };
}

interface Opening {
  readonly flags: Partial<UpstreamConfig>;
  readonly isListGiven?: boolean;
  readonly isAdvertised?: boolean;
  readonly opened?: OpenedBus;
  readonly clock?: Clock;
  readonly warn?: (text: string) => void;
}

function open({ flags, isListGiven = false, isAdvertised = true, opened, clock, warn }: Opening) {
  return openUpstreamSource(
    { ...config, ...flags },
    {
      ...{ listed, isListGiven, opened, ca: undefined },
      self: { tier: "grpc-proxy", isAdvertised },
      logger: { ...silentLogger, ...(warn && { warn }) },
      ...(clock && { clock }),
    },
  );
}

const urls = (source: EndpointSource): string[] => source.current().endpoints.map(endpointUrl);

describe("openUpstreamSource", () => {
  it("takes the list, the default one too, where nothing is discovered", async () => {
    await using source = await open({ flags: {} });
    expect(urls(source)).toEqual(["10.0.0.9:2379"]);
  });

  it.each<[string, Partial<UpstreamConfig>, string]>([
    ["no NATS", { discoveryFabric: true }, "--discovery-fabric needs --nats-url"],
    [
      "SRV as well",
      { ...onFabric, discoverySrv: "d.test" },
      "--discovery-fabric excludes --discovery-srv and --discovery-url",
    ],
    [
      "SRV and a URL",
      { discoveryUrl: ["http://d"], discoverySrv: "d.test" },
      "--discovery-url excludes --discovery-srv",
    ],
    [
      "itself to follow",
      { ...onFabric, discoveryTier: "grpc-proxy" },
      "--discovery-tier=grpc-proxy would lead replicas that advertise themselves back to themselves",
    ],
    [
      "two things wrong",
      { discoveryFabric: true, discoveryUrl: ["http://d"] },
      "--discovery-fabric needs --nats-url\n--discovery-fabric excludes --discovery-srv and --discovery-url",
    ],
  ])("refuses %s", async (_, flags, message) => {
    await expect(open({ flags })).rejects.toMatchObject({ name: "ConfigError", message });
  });

  it.each([
    [true, ["10.0.0.9:2379"]],
    [false, []],
  ])("while discovery is not heard, and the list was given: %s, uses %j", async (isListGiven, expected) => {
    await using bus = createInProcessBus();
    const opened = { bus, key: undefined, isProtected: true };
    const clock = createStillClock();
    const opening = open({ flags: onFabric, isListGiven, opened, clock });
    clock.fire(1_000);
    await using source = await opening;
    expect(urls(source)).toEqual(expected);
    const changed = Promise.withResolvers<void>();
    source.subscribe(() => changed.resolve());
    using announcer = createAnnouncer({ bus, prefix: "p", cluster: "etcd", publisher: "1", clock });
    announcer.update(1, announced);
    await changed.promise;
    expect(urls(source)).toEqual(["http://10.0.0.1:2379"]);
  });

  it("has the endpoints of a tier once it is open, if discovery is there, and says that anybody may have named them", async () => {
    await using bus = createInProcessBus();
    const clock = createStillClock();
    using announcer = createAnnouncer({
      ...{ bus, prefix: "p", cluster: "main/grpc-proxy", publisher: "1", clock },
    });
    announcer.update(1, announced);
    const warnings: string[] = [];
    await using source = await open({
      flags: { ...onFabric, discoveryCluster: "main", discoveryTier: "grpc-proxy" },
      isAdvertised: false, // nobody is led back to it
      opened: { bus, key: undefined, isProtected: false },
      clock,
      warn: (text) => warnings.push(text),
    });
    expect(urls(source)).toEqual(["http://10.0.0.1:2379"]);
    expect(warnings).toEqual([expect.stringContaining("whoever reaches NATS can name endpoints")]);
  });
});
