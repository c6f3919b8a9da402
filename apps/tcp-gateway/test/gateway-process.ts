import { fileURLToPath } from "node:url";
import { type RunningProgram, startProgram } from "@etcd-edge/testkit";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));

export type GatewayProcess = RunningProgram & { readonly address: string; readonly port: number };

/** Starts the gateway as its own process on a free port and waits until it is ready. */
export async function startGateway(
  args: readonly string[],
  { maxFiles }: { maxFiles?: number } = {},
): Promise<GatewayProcess> {
  const command = [process.execPath, main, "start", "--listen-addr=127.0.0.1:0", ...args]; // the last flag counts
  const program =
    maxFiles === undefined
      ? startProgram(process.execPath, command.slice(1))
      : startProgram("/bin/sh", ["-c", `ulimit -n ${maxFiles}; exec "$@"`, "sh", ...command]);
  const ready = JSON.parse(await program.waitForLine("ready to proxy client requests")) as Record<
    string,
    string
  >;
  const address = ready["listen-addr"] ?? "";
  return { ...program, address, port: Number(address.split(":")[1]) };
}
