import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type EtcdCluster,
  findFreePorts,
  type RunningProgram,
  requireProgram,
  startProgram,
} from "@etcd-edge/testkit";

const main = join(import.meta.dirname, "..", "..", "..", "..", "apps", "grpc-proxy", "src", "main.ts");

/** One replica. */
export interface FleetProxy {
  readonly port: number;
  readonly adminUrl: string;
  readonly program: RunningProgram;
}

/** Replicas of grpc-proxy, and the NATS server over which they share feeds, if they do. Dispose of it. */
export interface FabricFleet extends AsyncDisposable {
  readonly proxies: readonly FleetProxy[];
  stopNats(): Promise<void>;
  startNats(): Promise<void>;
  /** How many watches etcd has, by its own count. */
  watchesAtEtcd(): Promise<number>;
  /** The replica that watches a range at etcd. */
  ingester(range: string): Promise<FleetProxy>;
  /** The sum of a metric over all replicas that live. */
  total(metric: string): Promise<number>;
}

export async function startFabricFleet(
  cluster: EtcdCluster,
  count: number,
  isShared: boolean,
): Promise<FabricFleet> {
  await using undo = new AsyncDisposableStack();
  const natsProgram = await requireProgram("nats-server");
  const [natsPort = 0] = await findFreePorts(1);
  const startNats = async (): Promise<RunningProgram> => {
    const server = startProgram(natsProgram, ["-a", "127.0.0.1", "-p", String(natsPort)]);
    await server.waitForLine("Server is ready");
    return server;
  };
  let nats = isShared ? await startNats() : undefined;
  undo.defer(() => nats?.[Symbol.asyncDispose]());
  const proxies: FleetProxy[] = [];
  for (let i = 0; i < count; i++) {
    const [port = 0, adminPort = 0] = await findFreePorts(2);
    const adminUrl = `http://127.0.0.1:${adminPort}`;
    const flags = [
      `--endpoints=${cluster.endpoints.join(",")}`,
      `--listen-addr=127.0.0.1:${port}`,
      `--metrics-addr=${adminUrl}`,
      "--advertise-client-url=",
      ...(isShared ? [`--nats-url=nats://127.0.0.1:${natsPort}`] : []),
    ];
    const program = undo.use(startProgram(process.execPath, [main, "start", ...flags]));
    await program.waitForLine("started gRPC proxy");
    if (isShared) await program.waitForLine("connected to NATS");
    const proxy = { port, adminUrl, program };
    proxies.push(proxy);
    // Who has ended is asked nothing any more.
    void program.exited.then(() => proxies.splice(proxies.indexOf(proxy), 1));
  }
  // They hear of each other within a second.
  if (isShared) await delay(1_500);
  const owned = undo.move();
  return {
    proxies,
    stopNats: async () => {
      await nats?.[Symbol.asyncDispose]();
    },
    startNats: async () => {
      nats = await startNats();
    },
    watchesAtEtcd: async () => {
      let watches = 0;
      for (const { clientUrl } of cluster.members) {
        const body = await (await fetch(`${clientUrl}/metrics`)).text();
        watches += Number(/^etcd_debugging_mvcc_watcher_total (\d+)$/m.exec(body)?.[1] ?? 0);
      }
      return watches;
    },
    ingester: async (range) => {
      for (const proxy of proxies) {
        const scopes = (await (await fetch(`${proxy.adminUrl}/explain/watch?limit=0`)).json()) as {
          readonly feeds: readonly { readonly range: string; readonly fabric?: { readonly role: string } }[];
        }[];
        const feeds = scopes.flatMap((scope) => scope.feeds);
        if (feeds.some((feed) => feed.range === range && feed.fabric?.role === "ingesting")) return proxy;
      }
      throw new Error(`nobody watches ${range}`);
    },
    total: async (metric) => {
      let sum = 0;
      for (const { adminUrl } of proxies) {
        const body = await (await fetch(`${adminUrl}/proxy/metrics`)).text();
        const line = body
          .split("\n")
          .find((one) => one.startsWith(`${metric} `) || one.startsWith(`${metric}{`));
        sum += Number(line?.split(" ").at(-1) ?? 0);
      }
      return sum;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
