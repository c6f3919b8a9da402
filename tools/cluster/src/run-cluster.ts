import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureEtcd, findProgram, isFree, startEtcdCluster, startProgram } from "@etcd-edge/testkit";
import type { ClusterConfig } from "./options.ts";
import { findClashes, planEtcdPorts, planTiers, type TierProcess } from "./plan.ts";
import { renderWelcome } from "./table.ts";
import { type StartedTier, startTier, waitUntilReady } from "./tier-process.ts";

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/**
 * Runs etcd and the tiers until SIGINT, SIGTERM or the end of one of them. Stops tiers before etcd, and removes the
 * data unless asked to keep it.
 * @throws Error that names what is in the way: a port, a missing etcd, a tier that ended
 */
export async function runCluster(config: ClusterConfig): Promise<void> {
  const { promise: ended, resolve: end } = Promise.withResolvers<string>();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => end(name));

  const etcdPorts = planEtcdPorts(config.etcdPort);
  const endpoints = etcdPorts.slice(0, 3).map((port) => `127.0.0.1:${port}`);
  const natsServer = await findProgram("nats-server");
  const plan = planTiers(config, endpoints, natsServer && `nats://127.0.0.1:${config.natsPort}`);
  const natsPorts = natsServer === undefined ? [] : [config.natsPort];
  await refuseTakenPorts([...etcdPorts, ...natsPorts, ...plan.flatMap((one) => one.ports)]);
  const binary = (await ensureEtcd(say)).at(-1);
  if (binary === undefined) throw new Error("no etcd found");

  await using stack = new AsyncDisposableStack();
  const dataDir = config.dataDir === "" ? await mkdtemp(join(tmpdir(), "etcd-edge-")) : config.dataDir;
  if (config.keep) stack.defer(() => say(`data kept in ${dataDir}`));
  else if (config.dataDir === "") stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  say(`starting three members of etcd ${binary.version} …`);
  const cluster = stack.use(
    await startEtcdCluster({ binary, members: 3, basePort: config.etcdPort, dataDir, detached: true }),
  );
  if (natsServer !== undefined) {
    say("starting a NATS server: replicas share what they watch …");
    const args = ["-a", "127.0.0.1", "-p", String(config.natsPort)];
    await stack.use(startProgram(natsServer, args, { detached: true })).waitForLine("Server is ready");
  }
  say(`starting ${plan.length} tier processes …`);
  const tiers = plan.map((one) => stack.use(startTier(one)));
  const failed = watchForEnd(tiers);
  const stop = ended.then((name) => `stopping (${name}) …`);
  await Promise.race([Promise.all(tiers.map(waitUntilReady)), failed, stop]);
  process.stdout.write(renderWelcome(cluster, plan, config.dnsPort));
  say(await Promise.race([stop, failed]));
}

async function refuseTakenPorts(ports: readonly number[]): Promise<void> {
  const clashes = findClashes(ports);
  if (clashes.length > 0)
    throw new Error(`ports asked for twice: ${clashes.join(", ")}; see npm start -- --help`);
  const taken: number[] = [];
  for (const port of ports) if (!(await isFree(port))) taken.push(port);
  if (taken.length > 0) {
    throw new Error(`ports in use: ${taken.join(", ")}; choose others, see npm start -- --help`);
  }
}

/** Rejects when a tier ends by itself: half a demo would mislead. */
function watchForEnd(tiers: readonly StartedTier[]): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  for (const { plan, program } of tiers) {
    void program.exited.then((how) =>
      reject(new Error(`${nameOf(plan)} ended (${how}):\n${program.output()}`)),
    );
  }
  promise.catch(() => {}); // when we stop them ourselves nobody listens any more
  return promise;
}

function nameOf(plan: TierProcess): string {
  return `${plan.tier} ${plan.replica}`;
}
