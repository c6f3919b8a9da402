import type { Socket } from "node:net";
import { type ProxiedConnection, parseProxyHeader } from "./proxy-header.ts";

/** How a connection began. The socket is paused again; `rest` are bytes that came behind the header. */
export type ProxiedStart = { readonly connection: ProxiedConnection | undefined; readonly rest: Buffer };

/**
 * Reads the PROXY header that a connection must begin with. Undefined for one that begins otherwise, ends, or takes
 * longer than `timeoutMs`; the caller closes it.
 */
export function readProxyHeader(socket: Socket, timeoutMs: number): Promise<ProxiedStart | undefined> {
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0);
    const settle = (start: ProxiedStart | undefined): void => {
      clearTimeout(timer);
      socket.off("data", onData).off("end", onEnd).off("close", onEnd);
      socket.pause();
      resolve(start);
    };
    const onEnd = (): void => settle(undefined);
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const header = parseProxyHeader(received);
      if (header.t === "incomplete") return;
      if (header.t === "invalid") settle(undefined);
      else {
        const connection = header.t === "header" ? header.connection : undefined;
        settle({ connection, rest: received.subarray(header.bytes) });
      }
    };
    const timer = setTimeout(onEnd, timeoutMs);
    socket.on("data", onData).once("end", onEnd).once("close", onEnd);
    socket.resume();
  });
}
