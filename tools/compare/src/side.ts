import { join } from "node:path";
import { EtcdClient } from "@etcd-edge/conformance";
import { type EtcdBinary, findFreePorts, startEtcdCluster, startProgram } from "@etcd-edge/testkit";
import type { Side, StartedProxy } from "./row.ts";

const ownMain = join(import.meta.dirname, "..", "..", "..", "apps", "grpc-proxy", "src", "main.ts");
/** Both say it, in one spelling. */
const readyText = "started gRPC proxy";
const readyTimeoutMs = 15_000;

/** @param undo takes what is started, and ends it */
export function createSide(kind: "etcd" | "ours", binary: EtcdBinary, undo: AsyncDisposableStack): Side {
  const [command, ...first] = kind === "etcd" ? [binary.etcd, "grpc-proxy"] : [process.execPath, ownMain];
  const startProxy = async (
    endpoints: readonly string[],
    flags: readonly string[] = [],
  ): Promise<StartedProxy> => {
    const [port = 0] = await findFreePorts(1);
    const address = `127.0.0.1:${port}`;
    const args = [...first, "start", `--endpoints=${endpoints.join(",")}`, `--listen-addr=${address}`];
    const advertised = flags.some((flag) => flag.startsWith("--advertise-client-url="));
    if (!advertised) args.push(`--advertise-client-url=${address}`);
    const program = undo.use(startProgram(command, [...args, ...flags]));
    const isServing = await program.waitForLine(readyText, { timeoutMs: readyTimeoutMs }).then(
      () => true,
      () => false,
    );
    return { program, address, isServing, connect: () => undo.use(new EtcdClient(address)) };
  };
  return {
    startEtcd: async (options) => undo.use(await startEtcdCluster({ binary, ...options })),
    startProxy,
  };
}
