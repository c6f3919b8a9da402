import { join } from "node:path";
import { type EtcdCluster, findFreePorts, startProgram } from "@etcd-edge/testkit";

const root = join(import.meta.dirname, "..", "..", "..", "..");
const noAdvertise = "--advertise-client-url=";

/** One way to etcd that is measured. */
export interface Side {
  readonly name: string;
  readonly port: number;
  /** The process between the client and etcd; none for direct calls. */
  readonly pid?: number;
}

/** How one of the front doors is started. */
interface Door {
  readonly name: string;
  readonly ready: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** Straight to the first member. */
export function direct({ endpoints }: EtcdCluster): Side {
  return { name: "direct", port: Number(endpoints[0]?.split(":")[1]) };
}

export function etcdProxy({ binary }: EtcdCluster): Door {
  return {
    name: "etcd grpc-proxy",
    ready: "started gRPC proxy",
    command: binary.etcd,
    args: ["grpc-proxy", "start", noAdvertise],
  };
}

export function etcdGateway({ binary }: EtcdCluster): Door {
  return {
    name: "etcd gateway",
    ready: "ready to proxy client requests",
    command: binary.etcd,
    args: ["gateway", "start"],
  };
}

export function ourProxy(name: string, flags: readonly string[] = []): Door {
  return {
    name,
    ready: "started gRPC proxy",
    command: process.execPath,
    args: [join(root, "apps", "grpc-proxy", "src", "main.ts"), "start", noAdvertise, ...flags],
  };
}

export function ourGateway(): Door {
  return {
    name: "etcd-edge tcp-gateway",
    ready: "ready to proxy client requests",
    command: process.execPath,
    args: [join(root, "apps", "tcp-gateway", "src", "main.ts"), "start"],
  };
}

export function ourHttpGateway(flags: readonly string[] = []): Door {
  return {
    name: "etcd-edge http-gateway",
    ready: "ready to serve client requests",
    command: process.execPath,
    args: [join(root, "apps", "http-gateway", "src", "main.ts"), "start", ...flags],
  };
}

/** Starts a door to all members on a free port, and waits until it serves. @param stack ends it */
export async function startDoor(
  { name, ready, command, args }: Door,
  { endpoints }: EtcdCluster,
  stack: AsyncDisposableStack,
): Promise<Side> {
  const [port = 0] = await findFreePorts(1);
  const more = [`--listen-addr=127.0.0.1:${port}`, `--endpoints=${endpoints.join(",")}`];
  const program = stack.use(startProgram(command, [...args, ...more]));
  await program.waitForLine(ready);
  return { name, port, pid: program.pid };
}
