// A server for the tcp suite, in a process of its own: what a connection says first decides what it gets.
import { createServer, type Socket } from "node:net";

/** The first byte of a connection. */
export const Ask = { bulk: 1, echo: 2 } as const;
export const BULK_BYTES = 2_000_000_000;

const chunk = Buffer.alloc(256 * 1024);

function sendBulk(socket: Socket): void {
  let left = BULK_BYTES;
  const sendMore = (): void => {
    while (left > 0) {
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
      left -= part.length;
      if (!socket.write(part)) {
        socket.once("drain", sendMore);
        return;
      }
    }
    socket.end();
  };
  sendMore();
}

function serve(socket: Socket): void {
  socket.on("error", () => socket.destroy());
  socket.once("data", (first: Buffer) => {
    if (first[0] === Ask.bulk) {
      sendBulk(socket);
      return;
    }
    socket.on("data", (message: Buffer) => socket.write(message));
    if (first.length > 1) socket.write(first.subarray(1));
  });
}

if (process.send !== undefined) {
  const server = createServer({ noDelay: true }, serve).listen(0, "127.0.0.1", () => {
    const bound = server.address();
    process.send?.(bound !== null && typeof bound === "object" ? bound.port : 0);
  });
}
