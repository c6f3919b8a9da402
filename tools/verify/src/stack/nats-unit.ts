import { findFreePorts, type RunningProgram, requireProgram, startProgram } from "@etcd-edge/testkit";
import type { Unit } from "./unit.ts";

/** Starts a NATS server on a port that stays its own. Disposing kills it. */
export async function startNats(): Promise<Unit & AsyncDisposable> {
  const program = await requireProgram("nats-server");
  const [port = 0] = await findFreePorts(1);
  let running: RunningProgram;
  const start = async (): Promise<void> => {
    running = startProgram(program, ["-a", "127.0.0.1", "-p", String(port)]);
    await running.waitForLine("Server is ready");
  };
  await start();
  const kill = (): Promise<void> => Promise.resolve(running[Symbol.asyncDispose]());
  return {
    name: "nats",
    address: `127.0.0.1:${port}`,
    stop: () => Promise.resolve(running.signal("SIGSTOP")),
    resume: () => running.signal("SIGCONT"),
    kill,
    end: kill,
    start,
    output: () => running.output(),
    [Symbol.asyncDispose]: kill,
  };
}
