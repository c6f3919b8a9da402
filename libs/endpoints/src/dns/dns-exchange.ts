import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { DecodedPacket } from "dns-packet";
import dnsPacket from "dns-packet";

export type ResolverAddress = {
  readonly host: string;
  readonly port: number;
  /** `host:port` for messages. */
  readonly text: string;
};

export type ExchangeOptions = {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** What does not answer our question (late, forged, garbage) is ignored; the wait goes on. */
  readonly isAnswer: (packet: DecodedPacket) => boolean;
};

/** One query, one answer, from a fresh port (RFC 5452). Rejects with `i/o timeout` or the socket's error. */
export function exchangeOverUdp(
  resolver: ResolverAddress,
  query: Buffer,
  { timeoutMs, signal, isAnswer }: ExchangeOptions,
): Promise<DecodedPacket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(resolver.host) ? "udp6" : "udp4");
    const limit = withTimeout(timeoutMs, signal);
    const settle = (finish: () => void): void => {
      limit.removeEventListener("abort", onAbort);
      socket.close();
      finish();
    };
    const onAbort = (): void => settle(() => reject(abortError(limit)));
    limit.addEventListener("abort", onAbort, { once: true });
    socket.once("error", (error) => settle(() => reject(error)));
    socket.on("message", (message) => {
      const packet = decodeOrUndefined(message);
      if (packet !== undefined && isAnswer(packet)) settle(() => resolve(packet));
    });
    // A connected socket takes datagrams from the resolver only and hears that nobody listens there.
    socket.connect(resolver.port, resolver.host, () => {
      if (limit.aborted) onAbort();
      else socket.send(query);
    });
  });
}

/** The same over TCP, where every message goes behind its length in two bytes (RFC 1035 section 4.2.2). */
export function exchangeOverTcp(
  resolver: ResolverAddress,
  query: Buffer,
  { timeoutMs, signal, isAnswer }: ExchangeOptions,
): Promise<DecodedPacket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: resolver.host, port: resolver.port });
    const limit = withTimeout(timeoutMs, signal);
    let received = Buffer.alloc(0);
    const settle = (finish: () => void): void => {
      limit.removeEventListener("abort", onAbort);
      socket.removeAllListeners();
      socket.on("error", () => undefined); // settled: what happens while closing interests nobody
      socket.destroy();
      finish();
    };
    const onAbort = (): void => settle(() => reject(abortError(limit)));
    limit.addEventListener("abort", onAbort, { once: true });
    socket.once("error", (error) => settle(() => reject(error)));
    socket.once("end", () => settle(() => reject(new Error("connection closed before the answer"))));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        const packet = decodeOrUndefined(received.subarray(2, end));
        received = received.subarray(end);
        if (packet !== undefined && isAnswer(packet)) {
          settle(() => resolve(packet));
          return;
        }
      }
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
}

function withTimeout(timeoutMs: number, signal: AbortSignal | undefined): AbortSignal {
  const timeout = AbortSignal.timeout(timeoutMs);
  return signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
}

function abortError(signal: AbortSignal): unknown {
  const { reason } = signal;
  return reason instanceof DOMException && reason.name === "TimeoutError" ? new Error("i/o timeout") : reason;
}

function decodeOrUndefined(message: Buffer): DecodedPacket | undefined {
  try {
    return dnsPacket.decode(message);
  } catch {
    return undefined; // not DNS: as if it had not come
  }
}
