import type { Buffer } from "node:buffer";
import { Heartbeat } from "../http2/heartbeat.ts";
import type { KeepaliveOptions } from "../http2/keepalive.ts";
import type { ConnectionLimits } from "../http2/limits.ts";
import type { ClientConnection } from "./client-connection.ts";

/** The connections of a channel, from the moment their sockets are connected to the moment these close. */
export class ConnectionPool {
  readonly #connections = new Set<ClientConnection>();
  readonly #heartbeat: Heartbeat;

  constructor(limits: ConnectionLimits, keepalive: KeepaliveOptions) {
    const timeoutsMs = [
      limits.handshakeTimeoutMs,
      limits.settingsAckTimeoutMs,
      limits.writeStallTimeoutMs,
      keepalive.timeMs,
      keepalive.timeoutMs,
    ];
    this.#heartbeat = new Heartbeat(Math.min(...timeoutsMs.filter((ms) => ms > 0)));
  }

  get size(): number {
    return this.#connections.size;
  }

  /** Calls open on all connections. */
  get activeCalls(): number {
    let active = 0;
    for (const { streams } of this.#connections) active += streams.size;
    return active;
  }

  /** Some connection works and will go on to, though it may be full. */
  get isUsable(): boolean {
    for (const connection of this.#connections) {
      if (connection.isEstablished && !connection.isGoingAway) return true;
    }
    return false;
  }

  /** Of the connections with room for a call, the one with the fewest. */
  pick(): ClientConnection | undefined {
    let best: ClientConnection | undefined;
    for (const connection of this.#connections) {
      if (connection.hasRoom && (best === undefined || connection.streams.size < best.streams.size))
        best = connection;
    }
    return best;
  }

  /** Takes a connection in and feeds it from its socket. */
  add(connection: ClientConnection): void {
    this.#connections.add(connection);
    this.#heartbeat.add(connection);
    const { socket } = connection;
    socket.on("data", (chunk: Buffer) => connection.read(chunk));
    socket.once("end", () => connection.onSocketClosed("server closed the connection"));
    let failure = "connection lost";
    socket.on("error", (error: Error) => {
      failure = `connection lost: ${error.message}`;
    });
    socket.once("close", () => connection.onSocketClosed(failure));
  }

  /** Lets a closed connection go, once what it has written is out. */
  delete(connection: ClientConnection): void {
    this.#connections.delete(connection);
    this.#heartbeat.delete(connection);
    connection.socket.destroySoon();
  }

  /** All connections take no more calls, and close when those they have are over. */
  retireAll(): void {
    for (const connection of [...this.#connections]) connection.retire();
  }

  /** Ends all connections now. */
  destroyAll(reason: string): void {
    for (const connection of [...this.#connections]) connection.destroy(reason);
  }
}
