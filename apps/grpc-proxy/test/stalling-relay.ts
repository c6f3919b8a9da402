import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Passes bytes to an address, until it is told to hold them back. Disposing cuts every connection. */
export interface StallingRelay extends AsyncDisposable {
  readonly address: string;
  /** Nothing passes any more, in either direction; connections stay, and new ones are accepted. */
  stall(): void;
  /** What was held back passes, and all that follows. */
  flow(): void;
}

/** Starts one on a free port of 127.0.0.1. */
export async function startStallingRelay(target: string): Promise<StallingRelay> {
  const [host = "", port = ""] = target.split(":");
  const sockets = new Set<Socket>();
  let isStalled = false;
  const adopt = (socket: Socket, other: Socket): void => {
    sockets.add(socket);
    socket.on("data", (chunk) => void other.write(chunk));
    socket.on("error", () => {}); // its close says it
    socket.on("close", () => {
      sockets.delete(socket);
      other.destroy();
    });
    if (isStalled) socket.pause(); // listening for data let it flow
  };
  const server = createServer((client) => {
    const upstream = connect({ host, port: Number(port) });
    adopt(client, upstream);
    adopt(upstream, client);
  });
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stall: () => {
      isStalled = true;
      for (const socket of sockets) socket.pause();
    },
    flow: () => {
      isStalled = false;
      for (const socket of sockets) socket.resume();
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
