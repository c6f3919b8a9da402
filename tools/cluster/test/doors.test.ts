import {
  type EtcdCluster,
  type EtcdMember,
  findEtcdBinaries,
  findFreePorts,
  startEtcdCluster,
} from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import type { TierProcess } from "../src/plan.ts";
import { type StartedTier, startTier, waitUntilReady } from "../src/tier-process.ts";
import { runEtcdctlScript } from "./etcdctl-script.ts";
import { runJsonScript } from "./json-script.ts";

/** A door: the tiers between client and etcd, the nearest to the client first. */
interface Door {
  readonly name: string;
  readonly tiers: readonly TierProcess["tier"][];
}

const doors: readonly Door[] = [
  { name: "tcp-gateway", tiers: ["tcp-gateway"] },
  { name: "grpc-proxy", tiers: ["grpc-proxy"] },
  { name: "grpc-proxy → tcp-gateway", tiers: ["grpc-proxy", "tcp-gateway"] },
];

async function openDoor(
  door: Door,
  endpoints: readonly string[],
  stack: AsyncDisposableStack,
  flags: readonly string[] = [],
): Promise<string> {
  let upstream = endpoints.join(",");
  for (const [i, tier] of [...door.tiers.entries()].toReversed()) {
    const started = stack.use(await start(tier, upstream, i === 0 ? flags : []));
    upstream = started.plan.address;
  }
  return upstream;
}

async function start(
  tier: TierProcess["tier"],
  upstream: string,
  flags: readonly string[],
): Promise<StartedTier> {
  const [port = 0, admin = 0] = await findFreePorts(2);
  const address = `127.0.0.1:${port}`;
  const adminUrl = `http://127.0.0.1:${admin}`;
  const args = [
    "start",
    `--endpoints=${upstream}`,
    `--listen-addr=${address}`,
    `--metrics-addr=${adminUrl}`,
    ...flags,
  ];
  const started = startTier({ tier, replica: 0, args, ports: [port, admin], address, adminUrl });
  await waitUntilReady(started);
  return started;
}

/** A member whose loss costs no election: etcd itself refuses writes while it elects. */
async function findFollower(cluster: EtcdCluster): Promise<EtcdMember> {
  for (const member of cluster.members) {
    const { stdout } = await cluster.etcdctl(["endpoint", "status", "-w", "json"], [member.clientAddress]);
    const [{ Status }] = JSON.parse(stdout) as [
      { Status: { leader: number; header: { member_id: number } } },
    ];
    if (Status.leader !== Status.header.member_id) return member;
  }
  throw new Error("three members, and every one of them leads");
}

describe.each(await findEtcdBinaries())("etcdctl $version shows the same", (binary) => {
  it.concurrent.each(doors)("through $name as straight at etcd", async (door) => {
    await using stack = new AsyncDisposableStack();
    const direct = stack.use(await startEtcdCluster({ binary }));
    const proxied = stack.use(await startEtcdCluster({ binary }));
    const address = await openDoor(door, proxied.endpoints, stack);
    const [expected, seen] = await Promise.all([
      runEtcdctlScript(binary, direct.endpoints[0] ?? ""),
      runEtcdctlScript(binary, address),
    ]);
    expect(seen).toEqual(expected);
    expect(expected.filter((answer) => answer.exitCode === 0).length).toBeGreaterThan(30);
  });

  it("and JSON shows the same through http-gateway → grpc-proxy → tcp-gateway as at etcd's own door", async () => {
    await using stack = new AsyncDisposableStack();
    const direct = stack.use(await startEtcdCluster({ binary, members: 1 }));
    const proxied = stack.use(await startEtcdCluster({ binary, members: 1 }));
    const chain: Door = { name: "chain", tiers: ["http-gateway", "grpc-proxy", "tcp-gateway"] };
    // Behind a gRPC proxy the profile follows from etcd's version, and Debian's 3.5.30 is built with the newer one.
    const flags = binary.version.startsWith("3.5.") ? ["--json-profile=v2"] : [];
    const address = await openDoor(chain, proxied.endpoints, stack, flags);
    const [expected, seen] = await Promise.all([
      runJsonScript(direct.endpoints[0] ?? ""),
      runJsonScript(address),
    ]);
    expect(seen).toEqual(expected);
    expect(expected.filter((answer) => answer.status === 200).length).toBeGreaterThan(20);
  });

  it.each(doors)("through $name goes on when a follower is killed", async (door) => {
    await using stack = new AsyncDisposableStack();
    const cluster = stack.use(await startEtcdCluster({ binary, members: 3 }));
    const follower = await findFollower(cluster);
    const address = await openDoor(door, cluster.endpoints, stack);
    const ctl = (...args: string[]): Promise<{ stdout: string }> =>
      cluster.etcdctl(["--dial-timeout=10s", "--command-timeout=20s", ...args], [address]);
    await ctl("put", "k", "before");
    await follower.kill();
    for (let i = 0; i < 6; i++) {
      await ctl("put", "k", `after ${i}`);
      expect((await ctl("get", "k", "--print-value-only")).stdout).toBe(`after ${i}\n`);
    }
  });
});
