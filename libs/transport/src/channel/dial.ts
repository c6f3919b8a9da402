import { connect as connectNet, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions as TlsConnectionOptions } from "node:tls";

/** Where a server listens. `lookup` finds the addresses of the host; the system does by default. */
export type Endpoint =
  | { readonly host: string; readonly port: number; readonly lookup?: LookupFunction }
  | { readonly path: string };

/** `host:port`, with brackets around an IPv6 address; `localhost` for a unix socket. */
export function authorityOf(endpoint: Endpoint): string {
  if ("path" in endpoint) return "localhost";
  return `${endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`;
}

/**
 * Opens a socket, with TLS and `h2` by ALPN if `tls` is given (a function is asked now). Calls `done` once, with the connected socket or an
 * error; destroying the returned socket before gives an error too.
 */
export function dial(
  endpoint: Endpoint,
  tls: TlsConnectionOptions | (() => TlsConnectionOptions) | undefined,
  done: (result: Socket | Error) => void,
): Socket {
  const target = "path" in endpoint ? { path: endpoint.path } : { ...endpoint };
  let failure: Error | undefined;
  let isDone = false;
  const finish = (result: Socket | Error): void => {
    if (isDone) return;
    isDone = true;
    done(result);
  };
  const socket =
    tls === undefined
      ? connectNet(target)
      : connectTls({ ...(typeof tls === "function" ? tls() : tls), ...target, ALPNProtocols: ["h2"] });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 30_000);
  // Stays for the life of the socket: errors after connecting arrive with `close`.
  socket.on("error", (error: Error) => {
    failure = error;
  });
  socket.once("close", () => finish(failure ?? new Error("connection closed")));
  socket.once(tls === undefined ? "connect" : "secureConnect", () => {
    // grpc-go refuses servers without ALPN too; older servers that never heard of it do not speak HTTP/2 over TLS.
    if ("alpnProtocol" in socket && socket.alpnProtocol !== "h2") {
      failure = new Error("server did not choose h2 by ALPN");
      socket.destroy();
    } else {
      finish(socket);
    }
  });
  return socket;
}
