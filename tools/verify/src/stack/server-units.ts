import { connect } from "node:net";
import {
  findFreePorts,
  type RunningProgram,
  requireProgram,
  startProgram,
  startRedis,
} from "@etcd-edge/testkit";
import type { Unit } from "./unit.ts";

/** Of the Redis of a stack. */
export const redisPassword = "verify";

const flushTimeoutMs = 5_000;

/** Starts a NATS server on a port that stays its own. Disposing kills it. */
export async function startNats(): Promise<Unit & AsyncDisposable> {
  const program = await requireProgram("nats-server");
  return await startServer("nats", async (port) => {
    const running = startProgram(program, ["-a", "127.0.0.1", "-p", String(port)]);
    await running.waitForLine("Server is ready");
    return { program: running, [Symbol.asyncDispose]: () => Promise.resolve(running[Symbol.asyncDispose]()) };
  });
}

/** Starts a Redis that keeps nothing on disk, on a port that stays its own: killed, it forgets. Disposing kills it. */
export async function startOwnRedis(): Promise<Unit & AsyncDisposable> {
  return await startServer("redis", (port) => startRedis(port, ["--requirepass", redisPassword]));
}

/** Forgets all that a Redis has. @throws Error where it does not answer */
export async function flushRedis({ address }: Unit): Promise<void> {
  const [host = "", port = ""] = address.split(":");
  const socket = connect({ host, port: Number(port), timeout: flushTimeoutMs });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let said = "";
  socket.on("data", (chunk) => {
    said += chunk.toString("latin1");
    if (said.includes("-")) reject(new Error(`Redis: ${said}`));
    else if (said.startsWith("+OK\r\n+OK\r\n")) resolve();
  });
  socket.on("error", reject);
  socket.on("timeout", () => reject(new Error("Redis does not answer")));
  socket.write(`AUTH ${redisPassword}\r\nFLUSHALL\r\n`);
  try {
    await promise;
  } finally {
    socket.destroy();
  }
}

interface Started extends AsyncDisposable {
  readonly program: RunningProgram;
}

async function startServer(
  name: string,
  run: (port: number) => Promise<Started>,
): Promise<Unit & AsyncDisposable> {
  const [port = 0] = await findFreePorts(1);
  let running = await run(port);
  const kill = async (): Promise<void> => {
    await running[Symbol.asyncDispose]();
  };
  return {
    name,
    address: `127.0.0.1:${port}`,
    stop: () => Promise.resolve(running.program.signal("SIGSTOP")),
    resume: () => running.program.signal("SIGCONT"),
    kill,
    end: kill,
    start: async () => {
      running = await run(port);
    },
    output: () => running.program.output(),
    [Symbol.asyncDispose]: kill,
  };
}
