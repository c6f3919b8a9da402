import { fileURLToPath } from "node:url";
import {
  type EtcdCluster,
  findEtcdBinaries,
  findFreePorts,
  type RunningProgram,
  requireProgram,
  startEtcdCluster,
  startProgram,
} from "@etcd-edge/testkit";
import { expect } from "vitest";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
/** For what one replica learns of another by a message: wide enough for a machine that is starved. */
export const patience = { timeout: 60_000, interval: 50 };

/** A grpc-proxy in a process of its own. */
export interface FleetProxy {
  readonly port: number;
  readonly adminUrl: string;
  readonly program: RunningProgram;
}

/** What `/explain/watch` says of one feed. */
interface ExplainedFeed {
  readonly range: string;
  readonly fabric: { readonly role: string; readonly of?: string; readonly followers: number };
}

/** An etcd, a NATS server, and replicas of grpc-proxy that share their feeds over it. Dispose of it. */
export class Fleet implements AsyncDisposable {
  readonly cluster: EtcdCluster;
  readonly natsPort: number;
  readonly #natsProgram: string;
  readonly #args: readonly string[];
  readonly proxies: FleetProxy[] = [];
  #nats: RunningProgram | undefined;

  private constructor(cluster: EtcdCluster, natsProgram: string, natsPort: number, args: readonly string[]) {
    this.cluster = cluster;
    this.#natsProgram = natsProgram;
    this.natsPort = natsPort;
    this.#args = args;
  }

  /** @param args more flags of every proxy */
  static async start(count: number, args: readonly string[] = []): Promise<Fleet> {
    const binary = (await findEtcdBinaries()).at(-1);
    if (binary === undefined) throw new Error("no etcd");
    const natsProgram = await requireProgram("nats-server");
    const [natsPort = 0] = await findFreePorts(1);
    const fleet = new Fleet(await startEtcdCluster({ binary }), natsProgram, natsPort, args);
    try {
      await fleet.startNats();
      await Promise.all(Array.from({ length: count }, () => fleet.startProxy()));
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
    return fleet;
  }

  async startNats(): Promise<void> {
    this.#nats = startProgram(this.#natsProgram, ["-a", "127.0.0.1", "-p", String(this.natsPort)]);
    await this.#nats.waitForLine("Server is ready");
  }

  get nats(): RunningProgram {
    if (this.#nats === undefined) throw new Error("no NATS server");
    return this.#nats;
  }

  async startProxy(): Promise<FleetProxy> {
    const [port = 0, adminPort = 0] = await findFreePorts(2);
    const program = startProgram(process.execPath, [
      main,
      "start",
      `--endpoints=${this.cluster.endpoints.join(",")}`,
      `--listen-addr=127.0.0.1:${port}`,
      `--metrics-addr=http://127.0.0.1:${adminPort}`,
      `--nats-url=nats://127.0.0.1:${this.natsPort}`,
      ...this.#args,
    ]);
    const proxy = { port, adminUrl: `http://127.0.0.1:${adminPort}`, program };
    this.proxies.push(proxy);
    await program.waitForLine("started gRPC proxy");
    await program.waitForLine("connected to NATS");
    return proxy;
  }

  /** The feeds of a proxy that clients share, by range. */
  async feeds(proxy: FleetProxy): Promise<ReadonlyMap<string, ExplainedFeed["fabric"]>> {
    const answer = await fetch(`${proxy.adminUrl}/explain/watch`);
    const scopes = (await answer.json()) as { readonly feeds: readonly ExplainedFeed[] }[];
    return new Map(scopes.flatMap(({ feeds }) => feeds.map(({ range, fabric }) => [range, fabric])));
  }

  /** Waits until one proxy has the watch of a range at etcd and the others live on it. */
  async ingester(
    range: string,
  ): Promise<{ readonly ingester: FleetProxy; readonly others: readonly FleetProxy[] }> {
    let ingester = -1;
    const agree = async (): Promise<boolean> => {
      const roles = await Promise.all(this.proxies.map((proxy) => this.role(proxy, range)));
      ingester = roles.indexOf("ingesting");
      return ingester >= 0 && roles.every((role, i) => i === ingester || role === "following");
    };
    await expect.poll(agree, { ...patience, message: `one proxy watches ${range} for all` }).toBe(true);
    const [found] = this.proxies.slice(ingester);
    if (found === undefined) throw new Error(`nobody watches ${range}`);
    return { ingester: found, others: this.proxies.filter((one) => one !== found) };
  }

  /** How a proxy has a range, if it does. */
  async role(proxy: FleetProxy, range: string): Promise<string | undefined> {
    return (await this.feeds(proxy)).get(range)?.role;
  }

  /** How many watches etcd has, by its own count. */
  async watchesAtEtcd(): Promise<number> {
    let count = 0;
    for (const { clientUrl } of this.cluster.members) {
      const body = await (await fetch(`${clientUrl}/metrics`)).text();
      count += Number(/^etcd_debugging_mvcc_watcher_total (\d+)$/m.exec(body)?.[1] ?? 0);
    }
    return count;
  }

  /** Waits until etcd has exactly so many watches. */
  async untilWatches(count: number): Promise<void> {
    await expect.poll(() => this.watchesAtEtcd(), patience).toBe(count);
  }

  async metric(proxy: FleetProxy, name: string): Promise<number> {
    const body = await (await fetch(`${proxy.adminUrl}/proxy/metrics`)).text();
    const line = body.split("\n").find((one) => one.startsWith(name));
    return Number(line?.split(" ").at(-1) ?? Number.NaN);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.proxies.map(({ program }) => program[Symbol.asyncDispose]()));
    await this.#nats?.[Symbol.asyncDispose]();
    await this.cluster[Symbol.asyncDispose]();
  }
}
