import type { Duplex } from "node:stream";

const corked: Duplex[] = [];

/**
 * Lets what is written to a connection in this turn of the event loop leave in one piece, as responses of node:http do: events come
 * from etcd several at a time, and a call of the system for each would be most of what they cost.
 */
export function corkForTurn(connection: Duplex): void {
  if (connection.writableCorked > 0) return;
  connection.cork();
  corked.push(connection);
  if (corked.length === 1) process.nextTick(uncorkAll);
}

function uncorkAll(): void {
  for (const connection of corked.splice(0)) connection.uncork();
}
