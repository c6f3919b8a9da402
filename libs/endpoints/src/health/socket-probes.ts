import type { Socket } from "node:net";
import { type Opening, openConnection, openTlsConnection } from "./connect.ts";
import type { Probe, ProbeResult } from "./probe.ts";

/** Alive if it accepts connections. Cannot tell a stopped process from a running one: the kernel accepts for both. */
export function createTcpProbe(opening: Opening = {}): Probe {
  return async (endpoint, signal) => {
    try {
      (await openConnection(endpoint, signal, opening)).destroy();
      return { t: "alive" };
    } catch (error) {
      return toFailure(error, signal);
    }
  };
}

/** Alive if it completes a TLS handshake, with whatever certificate: this is about life, not about trust. */
export function createTlsProbe(tls: Opening): Probe {
  return async (endpoint, signal) => {
    try {
      (await openTlsConnection(endpoint, { tls, verify: false, signal })).destroy();
      return { t: "alive" };
    } catch (error) {
      return toFailure(error, signal);
    }
  };
}

// RFC 9113 section 3.4: the connection preface, followed by a SETTINGS frame (empty, on stream 0).
const http2Hello = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

/**
 * Alive if it answers an HTTP/2 greeting with anything at all. gRPC servers answer with their SETTINGS, HTTP/1 servers
 * with a 400; a TLS server hangs up, which is reported as unreachable with {@link hungUp}.
 */
export function createHttp2Probe(opening: Opening): Probe {
  return async (endpoint, signal) => {
    try {
      const socket = await openConnection(endpoint, signal, opening);
      try {
        return await firstWord(socket, http2Hello, signal);
      } finally {
        socket.on("error", () => undefined); // nobody listens to what happens after the answer
        socket.destroy();
      }
    } catch (error) {
      return toFailure(error, signal);
    }
  };
}

export const hungUp = "closed the connection without a word";

function firstWord(socket: Socket, greeting: Buffer, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    const settle = (result: ProbeResult): void => {
      signal.removeEventListener("abort", onAbort);
      resolve(result);
    };
    socket.once("data", () => settle({ t: "alive" }));
    socket.once("end", () => settle({ t: "unreachable", error: hungUp }));
    socket.once("error", () => settle({ t: "unreachable", error: hungUp }));
    if (signal.aborted) onAbort();
    socket.write(greeting);
  });
}

/** Time up is silence, whatever it interrupted; any other error means the endpoint cannot be used. */
export function toFailure(error: unknown, signal: AbortSignal): ProbeResult {
  if (signal.aborted) return { t: "silent", error: "no answer in time" };
  return { t: "unreachable", error: error instanceof Error ? error.message : String(error) };
}
