import { describe, expect, it } from "vitest";
import { type ClusterConfig, clusterOptions } from "./options.ts";
import { findClashes, planEtcdPorts, planTiers } from "./plan.ts";

const defaults = Object.fromEntries(
  Object.entries(clusterOptions).map(([name, option]) => [name, option.default]),
) as unknown as ClusterConfig;

describe("planTiers", () => {
  it("puts replica i of a tier at its base port + 100·i", () => {
    const plan = planTiers({ ...defaults, grpcProxy: 3 }, ["127.0.0.1:1"]);
    expect(plan.filter((one) => one.tier === "grpc-proxy").map((one) => one.address)).toEqual([
      "127.0.0.1:23790",
      "127.0.0.1:23890",
      "127.0.0.1:23990",
    ]);
  });

  it("gives every listener a port of its own, with nine replicas of each tier", () => {
    const all = { ...defaults, tcpGateway: 9, grpcProxy: 9, httpGateway: 9, discovery: 9 };
    const ports = planTiers(all, ["127.0.0.1:1"]).flatMap((one) => one.ports);
    expect(findClashes([...ports, ...planEtcdPorts(defaults.etcdPort)])).toEqual([]);
  });

  it("tells tiers whose replicas talk to each other where NATS is, if it is there", () => {
    const withNats = planTiers(defaults, ["127.0.0.1:1"], "nats://127.0.0.1:2")
      .filter(({ args }) => args.includes("--nats-url=nats://127.0.0.1:2"))
      .map(({ tier }) => tier);
    expect(withNats).toEqual(["grpc-proxy", "http-gateway", "discovery"]);
    expect(
      planTiers(defaults, [])
        .flatMap(({ args }) => args)
        .join(),
    ).not.toContain("nats");
  });

  it("names a port that is asked for twice", () => {
    const twice = { ...defaults, tcpGatewayPort: 23_790 };
    expect(findClashes(planTiers(twice, []).flatMap((one) => one.ports))).toEqual([23_790, 23_840]);
  });
});
