import { join } from "node:path";
import {
  type EtcdBinary,
  type EtcdMember,
  findFreePorts,
  type RunningProgram,
  startProgram,
} from "@etcd-edge/testkit";
import type { TierName } from "./door.ts";

const root = join(import.meta.dirname, "..", "..", "..", "..");

/** One process of a stack that faults can do things to. */
export interface Unit {
  /** `grpc-proxy 1` */
  readonly name: string;
  /** `host:port` where it serves; the same after a restart. */
  readonly address: string;
  /** SIGSTOP, until `resume`. */
  stop(): Promise<void>;
  resume(): void;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and waits until it has ended by itself; killed if that takes too long. */
  end(): Promise<void>;
  /** Starts it again, and waits until it serves. */
  start(): Promise<void>;
  /** The last lines that its process said. */
  output(): string;
}

const graceMs = 20_000;

export function unitOfMember(member: EtcdMember): Unit {
  return {
    name: `etcd ${member.name}`,
    address: member.clientAddress,
    stop: () => member.stop(),
    resume: () => member.resume(),
    kill: () => member.kill(),
    // etcd has no drain that clients would notice.
    end: () => member.kill(),
    start: () => member.restart(),
    output: () => member.output(),
  };
}

export interface TierPlan {
  readonly tier: TierName | "http-gateway";
  readonly replica: number;
  readonly upstream: readonly string[];
  readonly binary: EtcdBinary;
  /** Of ours: more for Node itself. */
  readonly node:
    | { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> }
    | undefined;
  /** More flags for a tier of ours that shares what it watches and reads: with whom, and as whom. */
  readonly shared: readonly string[];
  readonly tls: { readonly caFile: string; readonly certFile: string; readonly keyFile: string } | undefined;
}

/** Starts a replica of a tier on a port that stays its own. Disposing kills it. */
export async function startTier(plan: TierPlan): Promise<Unit & AsyncDisposable> {
  const [port = 0] = await findFreePorts(1);
  const address = `127.0.0.1:${port}`;
  const [command, args, ready] = commandOf(plan, address);
  let running: RunningProgram;
  const start = async (): Promise<void> => {
    running = startProgram(command, args, { env: plan.node?.env ?? {} });
    await running.waitForLine(ready);
  };
  await start();
  return {
    name: `${plan.tier} ${plan.replica}`,
    address,
    stop: () => Promise.resolve(running.signal("SIGSTOP")),
    resume: () => running.signal("SIGCONT"),
    kill: () => Promise.resolve(running[Symbol.asyncDispose]()),
    end: async () => {
      running.signal("SIGTERM");
      const patience = setTimeout(() => void running[Symbol.asyncDispose](), graceMs);
      await running.exited;
      clearTimeout(patience);
    },
    start,
    output: () => running.output(),
    [Symbol.asyncDispose]: () => Promise.resolve(running[Symbol.asyncDispose]()),
  };
}

function commandOf(
  { tier, upstream, binary, node, tls, shared }: TierPlan,
  address: string,
): [string, string[], string] {
  const common = ["start", `--endpoints=${upstream.join(",")}`, `--listen-addr=${address}`];
  // A serializable read that goes back in time for its client is a finding, so both proxies are asked not to.
  const proxy = [...common, "--advertise-client-url=", "--experimental-serializable-ordering"];
  const secure =
    tls === undefined
      ? []
      : [`--cacert=${tls.caFile}`, `--cert-file=${tls.certFile}`, `--key-file=${tls.keyFile}`];
  proxy.push(...secure);
  const gatewayReady = "ready to proxy client requests";
  const proxyReady = "started gRPC proxy";
  const ours = (app: string): string[] => [...(node?.args ?? []), join(root, "apps", app, "src", "main.ts")];
  switch (tier) {
    case "tcp-gateway":
      return [process.execPath, [...ours(tier), ...common], gatewayReady];
    case "grpc-proxy":
      return [process.execPath, [...ours(tier), ...proxy, ...shared], proxyReady];
    case "http-gateway":
      return [
        process.execPath,
        [...ours(tier), ...common, ...secure, ...shared, "--events-heartbeat-interval=500ms"],
        "ready to serve client requests",
      ];
    case "etcd-gateway":
      return [binary.etcd, ["gateway", ...common], gatewayReady];
    case "etcd-grpc-proxy":
      return [binary.etcd, ["grpc-proxy", ...proxy], proxyReady];
    default:
      return tier satisfies never;
  }
}
