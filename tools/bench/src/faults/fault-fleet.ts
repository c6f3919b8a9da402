import {
  createNatsCutter,
  type EtcdCluster,
  type FaultRelay,
  findFreePorts,
  type RunningProgram,
  type RunningRedis,
  requireProgram,
  startFaultRelay,
  startProgram,
  startRedis,
} from "@etcd-edge/testkit";
import { DoorProcess } from "./door-process.ts";

/** Replicas of two tiers that share feeds over NATS, and Redis. Dispose of it. */
export class FaultFleet implements AsyncDisposable {
  readonly doors: readonly DoorProcess[];
  /** Between the replicas and NATS. */
  readonly relay: FaultRelay;
  readonly redisPort: number;
  readonly #cluster: EtcdCluster;
  readonly #natsProgram: string;
  readonly #natsPort: number;
  #nats: RunningProgram | undefined = undefined;
  #redis: RunningRedis | undefined = undefined;

  private constructor(
    cluster: EtcdCluster,
    natsProgram: string,
    relay: FaultRelay,
    ports: readonly number[],
    tiers: readonly ("grpc-proxy" | "http-gateway")[],
  ) {
    const [natsPort = 0, redisPort = 0, ...rest] = ports;
    this.#cluster = cluster;
    this.#natsProgram = natsProgram;
    this.#natsPort = natsPort;
    this.redisPort = redisPort;
    this.relay = relay;
    this.doors = tiers.map((tier, i) => {
      const shared = [`--endpoints=${cluster.endpoints.join(",")}`, `--nats-url=nats://${relay.address}`];
      const redis =
        tier === "grpc-proxy" ? [`--redis-url=redis://127.0.0.1:${redisPort}`, "--cache-feeds=0"] : [];
      return new DoorProcess(tier, [rest[2 * i] ?? 0, rest[2 * i + 1] ?? 0], [...shared, ...redis]);
    });
  }

  static async start(
    cluster: EtcdCluster,
    tiers: readonly ("grpc-proxy" | "http-gateway")[],
  ): Promise<FaultFleet> {
    const ports = await findFreePorts(2 + 2 * tiers.length);
    const relay = await startFaultRelay(`127.0.0.1:${ports[0]}`, Math.random, () =>
      createNatsCutter((subject) => subject.includes(".frames.")),
    );
    const fleet = new FaultFleet(cluster, await requireProgram("nats-server"), relay, ports, tiers);
    try {
      await Promise.all([fleet.startNats(), fleet.startRedis()]);
      for (const door of fleet.doors) await door.start();
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
    return fleet;
  }

  async startNats(): Promise<void> {
    this.#nats = startProgram(this.#natsProgram, ["-a", "127.0.0.1", "-p", String(this.#natsPort)]);
    await this.#nats.waitForLine("Server is ready");
  }

  async stopNats(): Promise<void> {
    this.#nats?.signal("SIGKILL");
    await this.#nats?.exited;
    await this.#nats?.[Symbol.asyncDispose]();
  }

  async startRedis(): Promise<void> {
    this.#redis = await startRedis(this.redisPort);
  }

  async stopRedis(): Promise<void> {
    await this.#redis?.[Symbol.asyncDispose]();
  }

  /** How many watches etcd has, by its own count. */
  async watchesAtEtcd(): Promise<number> {
    let watches = 0;
    for (const { clientUrl } of this.#cluster.members) {
      const body = await (await fetch(`${clientUrl}/metrics`)).text();
      watches += Number(/^etcd_debugging_mvcc_watcher_total (\d+)$/m.exec(body)?.[1] ?? 0);
    }
    return watches;
  }

  /** How many watches of some ranges the doors have at etcd, by their own word: also where others watch there, too. */
  async watchesOf(ranges: readonly string[]): Promise<number> {
    const said = await Promise.all(this.doors.map((door) => door.rangesAtEtcd()));
    return said.flat().filter((range) => ranges.includes(range)).length;
  }

  async ingester(range: string): Promise<DoorProcess> {
    for (const door of this.doors) if ((await door.rangesAtEtcd()).includes(range)) return door;
    throw new Error(`nobody watches ${range}`);
  }

  /** The sum over all replicas that live. */
  async total(metric: string): Promise<number> {
    const each = await Promise.all(this.doors.map((door) => door.metric(metric)));
    return each.reduce((sum, one) => sum + one, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of [...this.doors, this.#nats, this.#redis, this.relay])
      await one?.[Symbol.asyncDispose]();
  }
}
