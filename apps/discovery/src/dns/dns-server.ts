import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, isIPv6, type Server, type Socket } from "node:net";
import { ConfigError, formatHostPort, type HostPort, type Logger } from "@etcd-edge/runtime";
import { answerQuery } from "./dns-answer.ts";
import { parseDnsMessage } from "./dns-query.ts";
import { encodeComeByTcp, encodeRefusal, encodeResponse } from "./dns-response.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { Zone } from "./zone.ts";

export type DnsServerOptions = {
  readonly address: HostPort;
  /** The zone of this moment. */
  readonly zone: () => Zone;
  readonly rateLimit: RateLimit;
  readonly logger: Logger;
  readonly onQuery: (via: "udp" | "tcp", rcode: number) => void;
  readonly onLimited: () => void;
};

export type DnsServer = AsyncDisposable & {
  /** Where it listens, with the port it got, for UDP and TCP alike. */
  readonly address: HostPort;
};

/** Idle connections are closed after this (RFC 7766 wants a few seconds at least). */
const tcpIdleMs = 10_000;
const maxTcpConnections = 256;
/** A connection that does not take its answers is not read any further. */
const maxUnsentBytes = 256 * 1024;
const portAttempts = 10;

/** Opens both sockets on one port. @throws ConfigError if one cannot be had */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const { host, port } = options.address;
  for (let attempt = 1; ; attempt += 1) {
    const tcp = createTcpListener(options);
    tcp.server.listen(host === "" ? { port } : { host, port });
    await opened(tcp.server, "tcp", options.address);
    const bound = tcp.server.address();
    const actual = bound !== null && typeof bound === "object" ? bound.port : port;
    const udp = createUdpSocket(options);
    udp.bind(host === "" ? { port: actual } : { port: actual, address: host });
    try {
      await opened(udp, "udp", { host, port: actual });
    } catch (error) {
      tcp.server.close();
      // A port the system chose for TCP may be taken for UDP: choose again.
      if (port === 0 && attempt < portAttempts) continue;
      throw error;
    }
    udp.on("error", (error) => options.logger.warn("DNS socket failed", { error }));
    tcp.server.on("error", (error) => options.logger.warn("failed to accept a DNS connection", { error }));
    return { address: { host, port: actual }, [Symbol.asyncDispose]: () => close(tcp, udp) };
  }
}

/** Any message to its answer; undefined: say nothing. Never throws. */
function respond(
  message: Buffer,
  via: "udp" | "tcp",
  { zone, logger, onQuery }: DnsServerOptions,
): Buffer | undefined {
  const parsed = parseDnsMessage(message);
  switch (parsed.t) {
    case "ignore":
      return undefined;
    case "refuse":
      onQuery(via, parsed.rcode);
      return encodeRefusal(parsed);
    case "query": {
      // By chance: what is asked between two questions of one kind must not decide whose turn it is.
      const answer = answerQuery(zone(), parsed.query, Math.floor(Math.random() * 0x1_0000));
      onQuery(via, answer.rcode);
      if (logger.isEnabled("debug")) {
        logger.debug("answered", {
          via,
          name: parsed.query.asked,
          type: parsed.query.type,
          rcode: answer.rcode,
        });
      }
      return encodeResponse(parsed.query, answer, via);
    }
    default:
      return parsed satisfies never;
  }
}

function createUdpSocket(options: DnsServerOptions): UdpSocket {
  const { rateLimit, onLimited } = options;
  const udp = createSocket({
    type: isIPv6(options.address.host) || options.address.host === "" ? "udp6" : "udp4",
  });
  udp.on("message", (message, { address, port }) => {
    const verdict = rateLimit.judge(address);
    if (verdict !== "answer") onLimited();
    if (verdict === "drop") return;
    const parsed = verdict === "come-by-tcp" ? parseDnsMessage(message) : undefined;
    const response =
      parsed === undefined
        ? respond(message, "udp", options)
        : parsed.t === "query"
          ? encodeComeByTcp(parsed.query)
          : undefined;
    // A failed send is the client's loss of one datagram, which UDP allows for.
    if (response !== undefined) udp.send(response, port, address, () => undefined);
  });
  return udp;
}

type TcpListener = { readonly server: Server; readonly connections: ReadonlySet<Socket> };

function createTcpListener(options: DnsServerOptions): TcpListener {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    serveConnection(socket, options);
  });
  server.maxConnections = maxTcpConnections;
  return { server, connections };
}

/** Messages one after the other, each behind its length (RFC 1035 section 4.2.2, RFC 7766). */
function serveConnection(socket: Socket, options: DnsServerOptions): void {
  let received: Buffer = Buffer.alloc(0);
  socket.setTimeout(tcpIdleMs, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("drain", () => socket.resume());
  socket.on("data", (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const end = 2 + received.readUInt16BE(0);
      const response = respond(received.subarray(2, end), "tcp", options);
      received = received.subarray(end);
      if (response === undefined) continue;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(response.length);
      socket.write(Buffer.concat([length, response]));
    }
    if (socket.writableLength > maxUnsentBytes) socket.pause();
  });
}

async function opened(
  listener: Server | UdpSocket,
  network: "tcp" | "udp",
  address: HostPort,
): Promise<void> {
  try {
    await once(listener, "listening");
  } catch (error) {
    const isTaken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    const why = isTaken ? "address already in use" : error instanceof Error ? error.message : String(error);
    throw new ConfigError(`listen ${network} ${formatHostPort(address)}: bind: ${why}`, { cause: error });
  }
}

async function close({ server, connections }: TcpListener, udp: UdpSocket): Promise<void> {
  if (!server.listening) return;
  const closed = Promise.all([once(server, "close"), once(udp, "close")]);
  server.close();
  udp.close();
  for (const socket of connections) socket.destroy();
  await closed;
}
