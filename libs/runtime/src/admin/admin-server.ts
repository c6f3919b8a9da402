import { once } from "node:events";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { ConfigError } from "../config-error.ts";
import { formatHostPort } from "../host-port.ts";
import type { Logger } from "../logging/logger.ts";
import type { ServerTls } from "../tls/server-tls.ts";
import { createRequestListener, type HttpRoutes } from "./admin-routes.ts";

/** Where an admin listener listens: TCP with or without TLS, or a Unix socket. */
export type AdminAddress =
  | { readonly t: "tcp"; readonly host: string; readonly port: number; readonly secure: boolean }
  | { readonly t: "unix"; readonly path: string; readonly secure: boolean };

/**
 * Reads the URL of `--metrics-addr`: `http://h:p`, `https://h:p`, `unix:///path`, `unixs:///path`.
 * @throws ConfigError `cannot parse "…"` without a newline, as etcd's grpc-proxy says it
 */
export function parseAdminAddress(text: string): AdminAddress {
  const unix = /^(unixs?):(?:\/\/)?(.+)$/.exec(text);
  if (unix?.[2] !== undefined) return { t: "unix", path: unix[2], secure: unix[1] === "unixs" };
  const fail = (cause?: unknown): ConfigError =>
    new ConfigError(`cannot parse ${JSON.stringify(text)}`, { newline: false, cause });
  if (!/^https?:\/\//.test(text)) throw fail();
  try {
    const url = new URL(text);
    const secure = url.protocol === "https:";
    const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
    return { t: "tcp", host: url.hostname.replace(/^\[|\]$/g, ""), port, secure };
  } catch (error) {
    throw fail(error);
  }
}

/** A listening admin server. Disposing closes it and cuts its connections; twice is fine. */
export interface AdminServer extends AsyncDisposable {
  /** Where it listens, for people: `http://127.0.0.1:6633`. With port 0 asked, the port it got. */
  readonly url: string;
}

/**
 * Opens the listener of `--metrics-addr`.
 * @throws ConfigError where the address cannot be bound, or asks for TLS without a server certificate
 */
export async function startAdminServer(options: {
  address: AdminAddress;
  routes: HttpRoutes;
  logger: Logger;
  tls?: ServerTls;
}): Promise<AdminServer> {
  const { address, logger } = options;
  const listener = createRequestListener(options.routes, (error) =>
    logger.warn("admin request failed", { error }),
  );
  if (address.secure && options.tls === undefined) {
    const shown = address.t === "tcp" ? formatHostPort(address) : address.path;
    throw new ConfigError(`cannot listen on TLS for ${shown}: KeyFile and CertFile are not presented`);
  }
  const server: Server =
    address.secure && options.tls !== undefined
      ? createProtectedServer(options.tls, listener)
      : createHttpServer(listener);
  const target = address.t === "tcp" ? { host: address.host, port: address.port } : { path: address.path };
  server.listen(target);
  try {
    await once(server, "listening");
  } catch (error) {
    const shown = address.t === "tcp" ? formatHostPort(address) : address.path;
    const why = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    throw new ConfigError(`listen tcp ${shown}: bind: ${why ? "address already in use" : String(error)}`, {
      cause: error,
    });
  }
  const url = describe(address, server);
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function createProtectedServer(tls: ServerTls, listener: RequestListener): Server {
  const server = createHttpsServer(tls.options, listener);
  tls.protect(server);
  return server;
}

function describe(address: AdminAddress, server: Server): string {
  if (address.t === "unix") return `${address.secure ? "unixs" : "unix"}://${address.path}`;
  const { port } = server.address() as AddressInfo;
  return `${address.secure ? "https" : "http"}://${formatHostPort({ host: address.host, port })}`;
}
