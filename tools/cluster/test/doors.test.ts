import { findEtcdBinaries, findFreePorts, startEtcdCluster } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import type { TierProcess } from "../src/plan.ts";
import { type StartedTier, startTier, waitUntilReady } from "../src/tier-process.ts";
import { runEtcdctlScript } from "./etcdctl-script.ts";

/** A door: the tiers between client and etcd, the nearest to the client first. */
type Door = readonly Extract<TierProcess["tier"], "tcp-gateway" | "grpc-proxy">[];

const doors: readonly Door[] = [["tcp-gateway"], ["grpc-proxy"], ["grpc-proxy", "tcp-gateway"]];

async function openDoor(
  door: Door,
  endpoints: readonly string[],
  stack: AsyncDisposableStack,
): Promise<string> {
  let upstream = endpoints.join(",");
  for (const tier of door.toReversed()) {
    const started = stack.use(await start(tier, upstream));
    upstream = started.plan.address;
  }
  return upstream;
}

async function start(tier: TierProcess["tier"], upstream: string): Promise<StartedTier> {
  const [port = 0, admin = 0] = await findFreePorts(2);
  const address = `127.0.0.1:${port}`;
  const adminUrl = `http://127.0.0.1:${admin}`;
  const args = ["start", `--endpoints=${upstream}`, `--listen-addr=${address}`, `--metrics-addr=${adminUrl}`];
  const started = startTier({ tier, replica: 0, args, ports: [port, admin], address, adminUrl });
  await waitUntilReady(started);
  return started;
}

describe.each(await findEtcdBinaries())("etcdctl $version shows the same", (binary) => {
  it.concurrent.each(doors)("through %s %s as straight at etcd", async (...door) => {
    await using stack = new AsyncDisposableStack();
    const direct = stack.use(await startEtcdCluster({ binary }));
    const proxied = stack.use(await startEtcdCluster({ binary }));
    const address = await openDoor(
      door.filter((tier) => tier !== undefined),
      proxied.endpoints,
      stack,
    );
    const [expected, seen] = await Promise.all([
      runEtcdctlScript(binary, direct.endpoints[0] ?? ""),
      runEtcdctlScript(binary, address),
    ]);
    expect(seen).toEqual(expected);
    expect(expected.filter((answer) => answer.exitCode === 0).length).toBeGreaterThan(30);
  });

  it.each(doors)("through %s %s goes on when one of three members is killed", async (...door) => {
    await using stack = new AsyncDisposableStack();
    const cluster = stack.use(await startEtcdCluster({ binary, members: 3 }));
    const address = await openDoor(
      door.filter((tier) => tier !== undefined),
      cluster.endpoints,
      stack,
    );
    const ctl = (...args: string[]): Promise<{ stdout: string }> =>
      cluster.etcdctl(["--dial-timeout=10s", "--command-timeout=20s", ...args], [address]);
    await ctl("put", "k", "before");
    await cluster.members[0]?.kill();
    for (let i = 0; i < 6; i++) {
      await ctl("put", "k", `after ${i}`);
      expect((await ctl("get", "k", "--print-value-only")).stdout).toBe(`after ${i}\n`);
    }
  });
});
