import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Ask, BULK_BYTES } from "../servers/byte-source.ts";

const MESSAGE = Buffer.alloc(128, "m");

/** Receives {@link BULK_BYTES} over one connection. @returns seconds it took */
export async function receiveBulk(port: number): Promise<number> {
  let received = 0;
  const started = performance.now();
  const socket = connect({
    port,
    host: "127.0.0.1",
    onread: {
      buffer: Buffer.alloc(1024 * 1024),
      callback: (count) => {
        received += count;
        return true;
      },
    },
  });
  socket.write(Buffer.of(Ask.bulk));
  await once(socket, "end");
  const seconds = (performance.now() - started) / 1000;
  socket.destroy();
  if (received !== BULK_BYTES) throw new Error(`${received} of ${BULK_BYTES} bytes came through`);
  return seconds;
}

/** Sends messages of 128 bytes to be echoed, one in flight per connection. @returns how many came back */
export async function pingPong(port: number, connections: number, seconds: number): Promise<number> {
  let answers = 0;
  let isOver = false;
  const play = async (): Promise<Socket> => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    let missing = MESSAGE.length;
    socket.on("data", (part: Buffer) => {
      missing -= part.length;
      if (missing > 0) return;
      missing = MESSAGE.length;
      if (isOver) return;
      answers += 1;
      socket.write(MESSAGE);
    });
    socket.write(Buffer.concat([Buffer.of(Ask.echo), MESSAGE]));
    return socket;
  };
  const sockets = await Promise.all(Array.from({ length: connections }, play));
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  isOver = true;
  for (const socket of sockets) socket.destroy();
  return answers;
}
