import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { CLIENT_PREFACE } from "../http2/constants.ts";

/** What the first bytes of a connection turned out to be. `head` is everything read so far, to be replayed. */
export type Sniffed =
  | { readonly t: "http2"; readonly head: Buffer }
  | { readonly t: "http1"; readonly head: Buffer }
  | { readonly t: "unknown" };

/** Longest method token that we take for a beginning of HTTP/1. */
const MAX_METHOD_BYTES = 24;

/**
 * Reads just enough of a fresh connection to tell its protocol. Calls back once, or never if the socket ends first;
 * timing out is the caller's business.
 *
 * @returns a function that stops sniffing.
 */
export function sniff(socket: Socket, done: (result: Sniffed) => void): () => void {
  let head: Buffer | undefined;
  const onData = (chunk: Buffer): void => {
    head = head === undefined ? chunk : Buffer.concat([head, chunk]);
    const protocol = protocolOf(head);
    if (protocol === undefined) return;
    stop();
    done(protocol === "unknown" ? { t: "unknown" } : { t: protocol, head });
  };
  const stop = (): void => {
    socket.off("data", onData);
  };
  socket.on("data", onData);
  return stop;
}

/** Protocol of a connection that begins so; undefined while it is open. */
function protocolOf(head: Buffer): Sniffed["t"] | undefined {
  const length = Math.min(head.length, CLIENT_PREFACE.length);
  if (CLIENT_PREFACE.compare(head, 0, length, 0, length) === 0) {
    return length === CLIENT_PREFACE.length ? "http2" : undefined;
  }
  for (let i = 0; i < head.length; i++) {
    const byte = head[i] as number;
    if (byte === 0x20) return i > 0 ? "http1" : "unknown";
    if (byte < 0x41 || byte > 0x5a || i === MAX_METHOD_BYTES) return "unknown";
  }
  return undefined;
}
