import { once } from "node:events";
import { createServer } from "node:net";

// Below the range from which Linux takes ports for outgoing connections (32768–60999), so that nobody is given
// one of these between our look and its use.
const lowest = 10_000;
const highest = 32_000;

/** Ports of 127.0.0.1 that nobody listens on now. Programs that can, listen on port 0 instead. */
export async function findFreePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

/** @returns true where a listener could be opened on 127.0.0.1 at this port */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ host: "127.0.0.1", port });
    await once(server, "listening");
    return true;
  } catch {
    return false; // taken, or not ours to take
  } finally {
    server.close();
  }
}
