import { connect, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { canonicalHost, type Endpoint, isUnixEndpoint } from "../endpoint.ts";
import { lookupHost } from "../lookup-host.ts";

/** What is shown to and demanded of a TLS peer. PEM texts. */
export type TlsMaterial = {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** Name the peer's certificate must carry. Default: the host dialled. */
  readonly serverName?: string;
};

/** How a connection begins. */
export type Opening = TlsMaterial & {
  /** Sent before all else, TLS included: the PROXY header of servers that demand one. */
  readonly preamble?: Uint8Array;
};

/**
 * Opens a TCP or unix connection, and sends the preamble. Rejects with the socket's error, or with the abort reason once
 * `signal` fires.
 */
export async function openConnection(
  endpoint: Endpoint,
  signal: AbortSignal,
  { preamble }: Pick<Opening, "preamble"> = {},
): Promise<Socket> {
  const connecting = isUnixEndpoint(endpoint)
    ? connect({ path: endpoint.host })
    : connect({ host: endpoint.host, port: endpoint.port, noDelay: true, lookup: lookupHost });
  const socket = await untilOpen(connecting, "connect", signal);
  if (preamble !== undefined) socket.write(preamble);
  return socket;
}

/**
 * Opens a connection and completes a TLS handshake on it (ALPN h2 or http/1.1, unless told otherwise).
 * With `verify` the peer's certificate must chain to the CA and carry the server name; otherwise any will do.
 */
export async function openTlsConnection(
  endpoint: Endpoint,
  {
    tls,
    verify,
    signal,
    protocols = ["h2", "http/1.1"],
  }: { tls: Opening; verify: boolean; signal: AbortSignal; protocols?: string[] },
): Promise<TLSSocket> {
  const socket = await openConnection(endpoint, signal, tls);
  const name = tls.serverName ?? (isUnixEndpoint(endpoint) ? "localhost" : canonicalHost(endpoint.host));
  const options: ConnectionOptions = {
    socket,
    host: name, // what the certificate is checked against; `servername` goes into SNI and must not be an address
    servername: isIP(name) === 0 ? name : "",
    rejectUnauthorized: verify,
    ALPNProtocols: protocols,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  };
  return untilOpen(connectTls(options), "secureConnect", signal);
}

function untilOpen<S extends Socket>(
  socket: S,
  opened: "connect" | "secureConnect",
  signal: AbortSignal,
): Promise<S> {
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown): void => {
      signal.removeEventListener("abort", onAbort);
      socket.off("error", settle);
      socket.off("close", onClose);
      if (error === undefined) {
        resolve(socket);
      } else {
        socket.on("error", () => undefined); // already reported; a second one must not be uncaught
        socket.destroy();
        reject(error);
      }
    };
    const onAbort = (): void => settle(signal.reason);
    const onClose = (): void => settle(new Error("connection closed before it was established"));
    socket.once(opened, () => settle());
    socket.once("error", settle);
    socket.once("close", onClose);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort);
  });
}
