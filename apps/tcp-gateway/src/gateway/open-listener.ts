import { once } from "node:events";
import { unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { ConfigError, formatHostPort } from "@etcd-edge/runtime";
import type { ListenAddress } from "../address-checks.ts";

/** How many connections wait for the process to take them, as Go asks for. The kernel has the last word. */
const backlog = 4096;

/**
 * Makes the server listen. A socket file that a gateway left behind which was killed is replaced; one that somebody listens at
 * is in use, as a port would be.
 * @throws ConfigError if the address cannot be had
 */
export async function openListener(server: Server, listen: ListenAddress, reusePort: boolean): Promise<void> {
  try {
    await tryToListen(server, listen, reusePort);
  } catch (error) {
    if (listen.path === undefined || codeOf(error) !== "EADDRINUSE" || (await isAnswered(listen.path)))
      throw toConfigError(error, listen);
    await unlink(listen.path).catch(() => undefined); // what is wrong shows when it is tried again
    await tryToListen(server, listen, reusePort).catch((again: unknown) => {
      throw toConfigError(again, listen);
    });
  }
}

/** Where a server listens, as it is written in flags, with the port it got. */
export function listenText(server: Server): string {
  const bound = server.address();
  if (bound === null) return "";
  return typeof bound === "string"
    ? `unix://${bound}`
    : formatHostPort({ host: bound.address, port: bound.port });
}

async function tryToListen(
  server: Server,
  { host, port, path }: ListenAddress,
  reusePort: boolean,
): Promise<void> {
  server.listen(
    path === undefined ? { port, backlog, reusePort, ...(host === "" ? {} : { host }) } : { path, backlog },
  );
  await once(server, "listening");
}

async function isAnswered(path: string): Promise<boolean> {
  const socket = connect({ path });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false; // nobody listens there any more
  } finally {
    socket.destroy();
  }
}

function toConfigError(error: unknown, listen: ListenAddress): ConfigError {
  const where =
    listen.path === undefined
      ? `listen tcp ${formatHostPort(listen)}: bind`
      : `listen unix ${listen.path}: bind`;
  return new ConfigError(`${where}: ${reasonOf(error)}`, { cause: error });
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  if (code === "EADDRINUSE") return "address already in use";
  if (code === "EADDRNOTAVAIL") return "cannot assign requested address";
  if (code === "EACCES") return "permission denied";
  return error instanceof Error ? error.message : String(error);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
